"""A preview as one page that needs nothing else: no network, no script."""

from collections.abc import Iterator
from html import escape
from itertools import groupby

from opensloth_core.preview.balance import balances
from opensloth_core.preview.examples import Part, Unit
from opensloth_core.preview.page_style import STYLE
from opensloth_core.preview.preview import Preview, Token, example_lines, pretty_columns
from opensloth_core.store.prepared import PreparedManifest

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def preview_page(preview: Preview) -> str:
    """The whole page; everything that comes from data is escaped."""
    title = escape(preview.title)
    body = [
        f"<h1>{title}</h1>",
        f'<p class="key">key <code>{escape(preview.manifest.key)}</code></p>',
        _ledger(preview.manifest),
        '<p class="legend"><span class="t y">trained</span> <span class="t y">token by token</span> '
        '<span class="t">not</span> <span class="t">trained</span> <span class="t s">special</span> '
        "⏎ newline; point at a token for its id and position</p>",
        *(section for unit, num_shown in preview.units for section in _unit(preview, unit, num_shown)),
        _settings(preview.manifest),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _ledger(manifest: PreparedManifest) -> str:
    columns = []
    for balance in balances(manifest.ledger):
        rows = [
            (balance.total, " ".join(filter(None, (balance.name.lower(), balance.label)))),
            *balance.terms,
        ]
        cells = "".join(
            f'<tr class="{"total" if first else ""}"><td>{count:,}</td><th>{escape(label)}</th>'
            f"<td>{'' if first else _share(count, balance.total)}</td></tr>"
            for first, (count, label) in zip([True] + [False] * len(rows), rows, strict=False)
            if first or count
        )
        note = f"<p>{escape(balance.note)}</p>" if balance.note else ""
        columns.append(f"<div><table>{cells}</table>{note}</div>")
    return f'<section class="ledger">{"".join(columns)}</section>'


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else ""


def _unit(preview: Preview, unit: Unit, num_shown: int) -> Iterator[str]:
    is_packed = preview.manifest.ledger.pack_length is not None
    yield f"<h2>{escape(preview.unit_line(unit))} <small>shard {unit.shard}, row {unit.row}</small></h2>"
    if is_packed:
        yield _strip(preview, unit)
    titles = example_lines(unit) if is_packed else [""]
    for title, parts in list(zip(titles, unit.examples, strict=True))[:num_shown]:
        yield "<article>"
        if title:
            yield f"<h3>{escape(title)}</h3>"
        for part in parts:
            if part.name:
                yield f"<h3>{escape(part.name)} <small>{len(part):,} tokens</small></h3>"
            # Both answers of a pair follow its prompt.
            first = 0 if part is parts[0] else len(parts[0])
            yield f'<div class="tokens {escape(part.name)}">{_tokens(preview, part, first)}</div>'
        yield "</article>"
    if unit.columns is not None:
        yield f"<h3>columns</h3>\n<pre>{escape(pretty_columns(unit.columns))}</pre>"
    if left := len(unit.examples) - num_shown:
        yield f'<p class="more">… and {left} more example{"" if left == 1 else "s"} in this pack</p>'


def _tokens(preview: Preview, part: Part, first: int) -> str:
    return "".join(_token(token, place) for place, token in enumerate(preview.tokens(part), start=first))


def _token(token: Token, position: int) -> str:
    classes = "t" + (" y" if token.is_trained else "") + (" s" if token.is_special else "")
    return (
        f'<span class="{classes}" title="id {token.number}, position {position}">{escape(token.text)}</span>'
    )


def _strip(preview: Preview, unit: Unit) -> str:
    """A pack to scale: examples with a gap between them, what is trained coloured, room left over blank."""
    examples = []
    for number, parts in enumerate(unit.examples, start=1):
        trained = parts[0].trained_T
        runs = "".join(
            f'<i{" class=y" if is_trained else ""} style="flex-grow:{sum(1 for _ in run)}"></i>'
            for is_trained, run in groupby(trained.tolist())
        )
        title = f"example {number}: {len(trained):,} tokens, {int(trained.sum()):,} trained"
        examples.append(f'<b title="{title}" style="flex-grow:{len(trained)}">{runs}</b>')
    room = (preview.manifest.ledger.pack_length or unit.num_tokens) - unit.num_tokens
    padding = f'<b class="room" title="padding: {room:,}" style="flex-grow:{room}"></b>' if room else ""
    return f'<div class="strip">{"".join(examples)}{padding}</div>'


def _settings(manifest: PreparedManifest) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_value(value))}</td></tr>"
        for name, value in manifest.preparation.items()
        if value not in (None, {})
    )
    return f'<h2>Settings</h2>\n<table class="settings">{rows}</table>'


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
