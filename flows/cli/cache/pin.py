"""`os-train cache pin` and `os-train cache unpin`."""

import json
from collections.abc import Callable, Sequence

from flows.cli.cache.answer import answered
from opensloth_core.registry.pinned_data import model_named
from opensloth_core.store.catalog import catalog, find_artifact, short
from opensloth_core.store.pins import PERSON, owners_of, pin, pinned_keys, unpin


def run_pin(keys: Sequence[str], as_json: bool) -> int:
    """Pin artifacts and give the exit code."""

    def found() -> list[str]:
        artifacts = catalog()
        return [find_artifact(key, artifacts).key for key in keys]

    words = ("pinned: gc leaves it alone", "was pinned already")
    return answered("os-train cache pin", lambda: _each(found(), pin, words, as_json))


def run_unpin(keys: Sequence[str], as_json: bool) -> int:
    """Take pins away and give the exit code."""

    def found() -> list[str]:
        artifacts, pins = catalog(), pinned_keys()
        # A pin outlives its artifact.
        gone = {key: one for key in keys for one in pins if one == key}
        return [gone.get(key) or find_artifact(key, artifacts).key for key in keys]

    words = ("no longer pinned", "was not pinned")
    return answered("os-train cache unpin", lambda: _each(found(), unpin, words, as_json))


def _each(keys: Sequence[str], change: Callable[[str], bool], words: tuple[str, str], as_json: bool) -> int:
    changed = {key: change(key) for key in dict.fromkeys(keys)}
    if as_json:
        print(json.dumps({"changed": [key for key, is_new in changed.items() if is_new]}, indent=2))
        return 0
    for key, is_new in changed.items():
        models = ", ".join(model_named(owner) for owner in owners_of(key) if owner != PERSON)
        also = f"; kept for the model {models}, which was judged by it" if models else ""
        print(f"{short(key)}  {words[0] if is_new else words[1]}{also}")
    return 0
