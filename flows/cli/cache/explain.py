"""`os-train cache explain`."""

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.cli.cache.answer import answered, terminal_width
from flows.cli.cache.words import ago
from flows.cli.os_train import METHODS
from flows.cli.request import FinetuneRequest
from flows.cli.settings import in_flags
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.read.place import shown as shown_place
from opensloth_core.errors import ConfigError
from opensloth_core.models.locate import model_folder
from opensloth_core.models.start import find_start
from opensloth_core.models.tokenizer import tokenizer_folder
from opensloth_core.runs.report.numbers import counted, size
from opensloth_core.store.catalog import Artifact, short
from opensloth_core.store.contents import titles
from opensloth_core.store.explain import Explanation, InputChange, TokensFound, explain
from opensloth_core.store.input_change import FileChange
from opensloth_core.store.part_change import label, shown, thing
from opensloth_core.store.prepared import PreparedManifest
from opensloth_core.store.remote.place import open_objects, store_url

_INDENT = 6

_SAYS_NOTHING = ("{}", "None", "none")
"""Values of parts that were not asked for."""


def run_explain(request: FinetuneRequest, as_json: bool) -> int:
    """Say what a training command would find and give the exit code: 0 for a hit and for a miss."""
    command = f"os-train cache explain {request.config.method}"
    return answered(command, lambda: _explain(request, as_json))


def _explain(request: FinetuneRequest, as_json: bool) -> int:
    from opensloth_core.preflight import refuse_impossible

    config, command = request.config, METHODS[request.config.method]
    try:
        devices = refuse_impossible(config)
    except ConfigError as err:
        raise ConfigError(in_flags(err, command.settings, command.flags, request.origins)) from err
    explanation = explain(config.preparation, _tokenizer_dir(config), len(devices))
    shared = None if explanation.found else _shared(explanation.key.digest)
    if as_json:
        print(json.dumps({**explanation_record(explanation), "shared": shared}, indent=2))
    else:
        print(*explanation_lines(explanation), sep="\n")
        if explanation.tokens is not None and shared is None:
            print(f"Tokens  {tokens_text(explanation.tokens)}")
        if shared is not None:
            print(
                f"Shared  {shared['store']} has it ({size(shared['size_bytes'])}): it is fetched from there"
            )
    return 0


def _shared(key: str) -> dict[str, Any] | None:
    """What the store that machines share has under a key; None without such a store, too."""
    url = store_url()
    if url is None:
        return None
    # Imported here: most have no such store.
    from opensloth_core.store.remote.record import Record, record_path

    stored = open_objects(url).read(record_path("prepared", key))
    record = Record.parse(stored.data) if stored else None
    if record is None or record.state != "published":
        return None
    return {"store": shown_place(url), "size_bytes": record.size_bytes, "created": record.created}


def _tokenizer_dir(config: OpenSlothConfig) -> Path:
    """The folder that the command would prepare data from; no adapter is merged for that."""
    start = find_start(config.model, config.pretrained_lora)
    model_dir = model_folder(start.model, lambda text: print(text, file=sys.stderr))
    return model_dir if start.adapter is None else tokenizer_folder(start.adapter.folder, model_dir)


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Hit or miss, and what differs from the nearest data."""
    key, found = explanation.key.digest, explanation.found
    if found is not None:
        yield f"Hit   {short(key)}: {_described(found)}"
        yield from _wrapped("same: " + ", ".join(_same(explanation)))
        return
    if explanation.problem:
        yield f"Miss  {short(key)} is damaged: {explanation.problem}; it is made again"
    elif explanation.nearest is None:
        yield f"Miss  {short(key)} is not in the store, nor is any chunk of the rows of this input"
    else:
        yield f"Miss  {short(key)} is not in the store. The nearest is"
        yield f"      {explanation.nearest.short_key}: {_described(explanation.nearest)}"
    if explanation.nearest is not None:
        if explanation.input_change is not None:
            for text in input_lines(explanation.input_change):
                yield from _wrapped(f"- input: {text}")
        for difference in explanation.differences:
            yield from _wrapped(f"- {difference.text}")
        if same := _same(explanation):
            yield from _wrapped("same: " + ", ".join(same))


def input_lines(change: InputChange) -> list[str]:
    """What became of the input, a sentence a file that is not as it was."""
    if change.files is None:
        if change.rows is None:
            return [f"other rows than the {change.rows_before:,} of then"]
        return [
            f"{_rows_now(change.rows, change.rows_before)}; which rows differ is not known, since the "
            "tokens of then are no longer kept, or were made with another method or mapping"
        ]
    named = len(change.files) > 1
    texts = [text for one in change.files if (text := _file_text(one))]
    texts = [f"{one.file}: {text}" if named else text for one in change.files if (text := _file_text(one))]
    return texts or ["the same rows, in files of another order or format"]


def tokens_text(tokens: TokensFound) -> str:
    """What has to be tokenized."""
    if tokens.state == "all":
        return "all there: nothing is tokenized"
    if tokens.state == "some":
        return f"those of {tokens.rows_reused:,} of {tokens.rows:,} rows are reused"
    if tokens.state == "unknown":
        return "some of these settings are there; how many of them fit depends on the rows that are drawn"
    return (
        "none are there: all rows are tokenized"
        if tokens.rows is None
        else f"all {tokens.rows:,} rows are tokenized"
    )


def _file_text(change: FileChange) -> str | None:
    if change.fate == "unchanged":
        return None
    if change.fate == "appended":
        added = counted(change.rows - change.rows_before, "row")
        return f"{added} appended ({change.rows:,}, was {change.rows_before:,})"
    if change.fate == "added":
        return f"new, {counted(change.rows, 'row')}"
    if change.fate == "removed":
        return f"no longer there, had {counted(change.rows_before, 'row')}"
    chunks = f"{change.num_chunks_differing:,} of {counted(change.num_chunks, 'chunk')}"
    within = f"those have {counted(change.rows_in_them, 'row')}"
    return f"{_rows_now(change.rows, change.rows_before)}; rows differ in {chunks} ({within})"


def _rows_now(rows: int, rows_before: int) -> str:
    if rows == rows_before:
        return f"as many rows as before ({rows:,})"
    more = "more" if rows > rows_before else "fewer"
    return f"{counted(abs(rows - rows_before), 'row')} {more} ({rows:,}, was {rows_before:,})"


def _described(artifact: Artifact) -> str:
    manifest = artifact.manifest
    assert isinstance(manifest, PreparedManifest), "prepared data has its manifest"
    model, data = titles(manifest.preparation)
    about = " for ".join(filter(None, (data, model)))
    return f"{about}, made {ago(artifact.created)}" if about else f"made {ago(artifact.created)}"


def _same(explanation: Explanation) -> list[str]:
    """The parts that are as they were, short ones with their value."""
    differing = {difference.part for difference in explanation.differences}
    if explanation.input_change is not None:
        differing.add("input")
    changed = {thing(name) for name in differing}
    same: dict[str, None] = {}
    for name, value in explanation.key.parts.items():
        if name in differing or value in _SAYS_NOTHING:
            continue
        is_whole = thing(name) not in changed and thing(name) != name
        is_long = shown(value) != value
        same[thing(name) if is_whole else label(name) if is_long else f"{label(name)} {value}"] = None
    return list(same)


def _wrapped(text: str) -> list[str]:
    width = min(terminal_width(), 100)
    first = " " * _INDENT
    rest = first + ("  " if text.startswith("- ") else "      ")
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """The same for a program."""
    nearest, change = explanation.nearest, explanation.input_change
    return {
        "hit": explanation.found is not None,
        "key": explanation.key.digest,
        "parts": explanation.key.parts,
        "damage": explanation.problem,
        "nearest": nearest.key if nearest else None,
        "differences": [asdict(one) for one in explanation.differences],
        "input": None if change is None else {**asdict(change), "text": input_lines(change)},
        "tokens": asdict(explanation.tokens) if explanation.tokens else None,
    }
