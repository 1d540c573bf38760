"""What a policy names in a store that machines share; ages and sizes by hand."""

from typing import Any

import pytest

from opensloth_core.errors import ConfigError
from opensloth_core.store.collect import Policy
from opensloth_core.store.remote.choose import choose_remote
from opensloth_core.store.remote.listing import RemoteArtifact

DAY = 86400.0
NOW = 100 * DAY


def artifact(key: str, age_days: float, kind: str = "prepared") -> RemoteArtifact:
    return RemoteArtifact(kind, key, 100, NOW - age_days * DAY, "somebody")


STORE = [artifact("new", 1), artifact("old", 31), artifact("older", 40), artifact("t", 35, "tokens")]


def chosen(pinned: tuple[str, ...] = (), **rules: Any) -> list[str]:
    choices = choose_remote(STORE, Policy(**rules), pinned, NOW)
    return [choice.artifact.key for choice in choices if choice.spared is None]


@pytest.mark.parametrize(
    ("rules", "keys"),
    [
        ({}, []),
        ({"max_age_seconds": 30 * DAY}, ["older", "t", "old"]),
        ({"max_age_seconds": 36 * DAY}, ["older"]),
        ({"max_size_bytes": 400}, []),
        ({"max_size_bytes": 399}, ["older"]),
        ({"max_size_bytes": 200}, ["older", "t"]),
        ({"keep": 1}, ["older", "old"]),
        ({"max_age_seconds": 30 * DAY, "keep": 1}, ["older", "old"]),
    ],
)
def test_what_a_policy_names(rules: dict[str, Any], keys: list[str]) -> None:
    assert chosen(**rules) == keys


def test_what_is_pinned_here_stays_and_others_make_up_for_it() -> None:
    assert chosen(pinned=("older",), max_size_bytes=200) == ["t", "old"]


def test_what_other_machines_refer_to_is_not_known() -> None:
    with pytest.raises(
        ConfigError, match="--unreferenced: what runs of other machines refer to is not known"
    ):
        chosen(unreferenced=True)
