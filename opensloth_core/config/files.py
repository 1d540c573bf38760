"""Settings from a YAML, TOML or JSON file.

A file is data: YAML is loaded safely, without tags that make objects, and without aliases, by which a few
lines can stand for gigabytes.
"""

import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opensloth_core.config.layer import Layer, SourceError, refuse_unknown
from opensloth_core.config.nest import Names, nest, placed
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.recorded import as_given, is_record
from opensloth_core.errors import ConfigError

if TYPE_CHECKING:
    from yaml import MappingNode, Node

MAX_BYTES = 1_000_000
"""Larger files are no configuration."""

Lines = dict[Names, int]


def file_layer(path: Path) -> Layer:
    """The settings in a file, grouped (`training: {lr: 1e-4}`) or flat (`lr: 1e-4`).

    Raises:
        SourceError: the file cannot be read, is none of the three formats, or has a name that is no setting;
            one line that begins with the file's name, and the line where it is known.
    """
    values, lines = read_settings(path)
    where = {names: f"{path}:{line}" for names, line in lines.items()}
    refuse_unknown(values, where, str(path))
    origins = {one.place: where.get(one.path, str(path)) for one in placed(values, OpenSlothConfig)}
    try:
        nested = nest(values, OpenSlothConfig)
    except ConfigError as err:
        raise SourceError(f"{path}: {err}") from err
    return Layer(str(path), as_given(nested) if is_record(path) else nested, origins)


def read_settings(path: Path) -> tuple[dict[str, Any], Lines]:
    """What a configuration file says, and on which lines, as far as that is known.

    Raises:
        SourceError: it cannot be read, or is no mapping of names to values.
    """
    parse = _PARSERS.get(path.suffix.lower())
    text = _text(path)
    if parse is None:
        raise SourceError(f"{path}: must be named .yaml, .yml, .toml or .json")
    try:
        values, lines = parse(text)
    except SourceError as err:
        raise SourceError(f"{path}:{err}") from err
    except RecursionError as err:
        raise SourceError(f"{path}: is nested too deeply") from err
    except (ValueError, OverflowError) as err:
        raise SourceError(f"{path}: {_one_line(str(err))}") from err
    if values is None:
        raise SourceError(f"{path}: is empty; give settings such as epochs: 3")
    if not isinstance(values, dict):
        raise SourceError(
            f"{path}: must map names to values, as in epochs: 3; found a {type(values).__name__}"
        )
    _refuse_other_names(path, values)
    return values, lines


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            inside = path / "config.json"
            hint = f"; give {inside}" if inside.is_file() else "; give a file"
            raise SourceError(f"{path}: is a folder{hint}")
        if not path.exists():
            raise SourceError(f"{path}: no such file")
        if not path.is_file():
            raise SourceError(f"{path}: is no regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as err:
        if isinstance(err, SourceError):
            raise
        raise SourceError(f"{path}: cannot be read: {_reason(err)}") from err
    if len(content) > MAX_BYTES:
        raise SourceError(f"{path}: is larger than {MAX_BYTES / 1e6:g} MB, so it is no configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise SourceError(f"{path}: is no text in UTF-8 (byte {err.start})") from err


def _reason(err: Exception) -> str:
    return (err.strerror if isinstance(err, OSError) else None) or str(err)


def _refuse_other_names(path: Path, values: Mapping[Any, Any]) -> None:
    for name, value in values.items():
        if not isinstance(name, str):
            raise SourceError(f"{path}: {name!r}: names of settings are text")
        if isinstance(value, dict):
            _refuse_other_names(path, value)


def _yaml(text: str) -> tuple[Any, Lines]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe, without aliases, and with every name once."""

        def compose_node(self, parent: "Node | None", index: Any) -> "Node | None":
            if self.check_event(yaml.AliasEvent):
                line = self.current_event.start_mark.line + 1
                raise SourceError(f"{line}: aliases (*name) are not understood; write the value out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: "MappingNode", deep: bool = False) -> dict[Hashable, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise SourceError(f"{key.start_mark.line + 1}: {key.value!r} is given twice")
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    try:
        loader = Loader(text)
        node = loader.get_single_node()
        lines = _lines_of(node) if node is not None else {}
        return (None if node is None else loader.construct_document(node)), lines
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        at = f"{mark.line + 1}: " if mark is not None else " "
        raise SourceError(f"{at}{_one_line(err.problem or err.context or 'is no YAML')}") from err
    except yaml.YAMLError as err:
        raise SourceError(f" {_one_line(str(err))}") from err


def _lines_of(node: "Node") -> Lines:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    lines: Lines = {}
    for key, value in node.value:
        lines[(str(key.value),)] = key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            for inner, _ in value.value:
                lines[(str(key.value), str(inner.value))] = inner.start_mark.line + 1
    return lines


def _toml(text: str) -> tuple[Any, Lines]:
    import tomllib

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise SourceError(_with_line(str(err))) from err
    return values, _searched_lines(text, values)


def _json(text: str) -> tuple[Any, Lines]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SourceError(f" {twice!r} is given twice")
        return dict(pairs)

    try:
        values = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as err:
        raise SourceError(f"{err.lineno}: {err.msg}") from err
    return values, _searched_lines(text, values)


def _with_line(message: str) -> str:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    return f"{found[1]}: {message[: found.start()]}" if found else f" {message}"


def _searched_lines(text: str, values: Any) -> Lines:
    """Lines on which names stand that are there only once; these parsers keep none."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        for name in re.findall(r"""(?:^|[{,\s])["']?([A-Za-z_]\w*)["']?\s*[:=]""", line):
            found.setdefault(name, []).append(number)
    paths = [one.path for one in placed(values, OpenSlothConfig)] if isinstance(values, dict) else []
    return {path: found[path[-1]][0] for path in paths if len(found.get(path[-1], ())) == 1}


def _one_line(message: str) -> str:
    flat = " ".join(message.split())
    return flat if len(flat) <= 200 else flat[:199] + "…"


_PARSERS = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".json": _json}
