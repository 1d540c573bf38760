"""A short card in Markdown that says what prepared data is."""

import time

from opensloth_core.preview.balance import balances
from opensloth_core.preview.card_examples import example_tables
from opensloth_core.preview.preview import Preview
from opensloth_core.store.prepared import PreparedManifest, prepared_dir


def data_card(manifest: PreparedManifest, preview: Preview | None = None) -> str:
    """What was prepared, for what, with which settings, from what, and where it is.

    Args:
        preview: examples to show, with what is trained in bold.
    """
    settings = manifest.preparation
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.created))
    shards = len(manifest.shards)
    lines = [
        f"# {settings['method'].upper()} data {manifest.key[:12]}",
        "",
        f"Made {made} for {_code(settings['model'])}, in {shards} shard{'' if shards == 1 else 's'}, from",
        "",
        *(f"- {_code(source)}" for source in settings["data"]),
        "",
        "## Ledger",
        "",
        *(
            f"- **{balance.name}**: {balance.total:,} {balance.label} = {' + '.join(balance.parts())}"
            f"{'; ' + balance.note if balance.note else ''}"
            for balance in balances(manifest.ledger)
        ),
        *_examples(preview),
        "",
        "## Settings",
        "",
        "| setting | value |",
        "|---|---|",
        *(
            f"| {name} | {_cell(value)} |"
            for name, value in settings.items()
            if name not in ("data", "model")
        ),
        "",
        "## Where it comes from",
        "",
        "Data of the same key is the same data; the key is a digest over these parts.",
        "",
        "| part of the key | value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in manifest.parts.items()),
        "",
        f"Key: {_code(manifest.key)}",
        "",
        f"Folder: {_code(str(prepared_dir(manifest.key)))}",
    ]
    return "\n".join(lines) + "\n"


def _examples(preview: Preview | None) -> list[str]:
    if preview is None:
        return []
    return ["", "## Examples", "", "What is trained is **bold**; ⏎ is a newline.", *example_tables(preview)]


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"


def _cell(value: object) -> str:
    return _code(str(value).replace("|", "/")) if value not in (None, {}, "") else "-"
