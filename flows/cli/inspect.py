"""`os-data inspect`: prepared data, described."""

import json
import sys
import time
from typing import TYPE_CHECKING

from flows.cli.ledger_table import NAME_WIDTH, ledger_lines
from opensloth_core.errors import OpenSlothError

if TYPE_CHECKING:
    from opensloth_core.preview.artifact import Inspected

KILO = 1000


def run_inspect(called: str, as_json: bool) -> int:
    """Print what prepared data is; gives the exit code, 1 where it is damaged."""
    from opensloth_core.preview.artifact import inspect

    try:
        inspected = inspect(called)
    except OpenSlothError as err:
        print(f"os-data inspect: {err}", file=sys.stderr)
        return err.exit_code
    if as_json:
        print(json.dumps(inspected.as_json(), indent=2))
    else:
        print(*_lines(inspected), sep="\n")
    if inspected.damage is None:
        return 0
    print(f"os-data inspect: damaged: {inspected.damage}; the next run makes it again", file=sys.stderr)
    return 1


def _lines(inspected: "Inspected") -> list[str]:
    manifest = inspected.manifest
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(manifest.created))
    head = {
        "Key": manifest.key,
        "Folder": inspected.folder,
        "Size": _size(inspected.size_bytes),
        "Made": made,
    }
    lines = [f"{name:{NAME_WIDTH}}{value}" for name, value in head.items()]
    lines += ledger_lines(manifest.ledger)
    if inspected.shards:
        lines += ["", *_table([("Shards", "rows", "tokens", "trained", "size"), *_shards(inspected)])]
    settings = [
        (name, _value(value)) for name, value in manifest.preparation.items() if value not in (None, {})
    ]
    for title, pairs in (("Settings", settings), ("Parts of the key", list(manifest.parts.items()))):
        width = max(len(name) for name, _ in pairs)
        lines += ["", title, *(f"  {name:{width}}  {value}" for name, value in pairs)]
    return lines


def _shards(inspected: "Inspected") -> list[tuple[str, ...]]:
    return [
        (
            f"  {shard.name}",
            f"{shard.num_rows:,}",
            f"{shard.num_tokens:,}",
            f"{shard.num_trained:,}",
            _size(shard.size_bytes),
        )
        for shard in inspected.shards
    ]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """The first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _size(size_bytes: int) -> str:
    size, units = float(size_bytes), ["B", "kB", "MB", "GB"]
    while size >= KILO and len(units) > 1:
        size /= KILO
        units.pop(0)
    return f"{size:,.0f} {units[0]}" if units[0] == "B" else f"{size:,.1f} {units[0]}"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
