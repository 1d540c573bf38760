"""A short card in Markdown that says what prepared data is."""

import time

from opensloth_core.preview.balance import balances
from opensloth_core.store.prepared import PreparedManifest, prepared_dir


def data_card(manifest: PreparedManifest) -> str:
    """What was prepared, for what, with which settings, and where it is."""
    settings = manifest.preparation
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.created))
    shards = len(manifest.shards)
    lines = [
        f"# {settings['method'].upper()} data `{manifest.key}`",
        "",
        f"Made {made} for {_code(settings['model'])}, in {shards} shard{'' if shards == 1 else 's'}, from",
        "",
        *(f"- {_code(source)}" for source in settings["data"]),
        "",
        *(
            f"- **{balance.name}**: {balance.total:,} {balance.label} = {' + '.join(balance.parts())}"
            f"{'; ' + balance.note if balance.note else ''}"
            for balance in balances(manifest.ledger)
        ),
        "",
        "| setting | value |",
        "|---|---|",
        *(
            f"| {name} | {_cell(value)} |"
            for name, value in settings.items()
            if name not in ("data", "model")
        ),
        "",
        f"Folder: {_code(str(prepared_dir(manifest.key)))}",
    ]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"


def _cell(value: object) -> str:
    return _code(str(value).replace("|", "/")) if value not in (None, {}, "") else "-"
