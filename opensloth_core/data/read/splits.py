"""Which split a file belongs to by its name or folder, and choosing one split.

train.jsonl           -> train        my_test.csv.gz                -> test
validation/a.jsonl    -> validation   train_sft-00000-of-00002.json -> train_sft
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from opensloth_core.errors import DataError

TRAIN = "train"

_SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
"""Source: https://huggingface.co/docs/hub/datasets-file-names-and-splits, "Keywords"."""

_BETWEEN_WORDS = re.compile(r"[-._ 0-9]+")
_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}\b")
_HUB_FOLDER = "data"
_MAX_NAMED = 3


def split_of(relative: str) -> str | None:
    """The split of a file, by its name first and then by its folders, innermost first.

    Args:
        relative: the file's path below the folder that was given.
    """
    path = PurePosixPath(relative)
    if shard := _SHARD.match(path.name):
        stem = shard[1]
        if stem in _SPLITS:
            return _SPLITS[stem]
        if _keyword(stem) or path.parent.name == _HUB_FOLDER:
            return stem
    for name in (path.name, *reversed(path.parent.parts)):
        if split := _keyword(name):
            return split
    return None


def choose_split(place: str, available: Sequence[str], asked: str | None) -> str:
    """One of several splits by its name: the asked one, or train, or the only one.

    Raises:
        DataError: there is no such split; names those there are.
    """
    if asked is not None:
        for name in (asked, _SPLITS.get(asked, asked)):
            if name in available:
                return name
        raise DataError(f"{place}: has no split {asked!r}; it has {_listed(available)}")
    if TRAIN in available:
        return TRAIN
    if len(available) == 1:
        return available[0]
    raise DataError(f"{place}: has no train split; pass --split with one of {_listed(available)}")


def files_of_split(place: str, relatives: Sequence[str], asked: str | None) -> list[str]:
    """The files of a folder or glob that belong to a split; all of them where none is named after one.

    Raises:
        DataError: there is no such split, or it cannot be told whether a file belongs to it.
    """
    splits: Mapping[str, str | None] = {relative: split_of(relative) for relative in relatives}
    available = sorted({split for split in splits.values() if split})
    if not available:
        if asked is not None:
            raise DataError(
                f"{place}: has no split {asked!r}: no file or folder in it is named after a split; "
                f"drop --split or name the files"
            )
        return list(relatives)
    others = [relative for relative, split in splits.items() if split is None]
    if others and asked is None:
        raise DataError(
            f"{place}: some files are of a split ({_listed(available)}), some of none ({_listed(others)}); "
            f"pass --split or name the files that you want"
        )
    split = choose_split(place, available, asked)
    return [relative for relative in relatives if splits[relative] == split]


def _keyword(name: str) -> str | None:
    """The one split whose keyword is a word of a name; None where there is none, or several."""
    found = {
        _SPLITS[word] for word in _BETWEEN_WORDS.split(name.replace("_", ".").lower()) if word in _SPLITS
    }
    return found.pop() if len(found) == 1 else None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMED] if len(names) > 2 * _MAX_NAMED else names)
    return f"{shown} and {len(names) - _MAX_NAMED} more" if len(names) > 2 * _MAX_NAMED else shown
