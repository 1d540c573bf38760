"""What a policy names and what is protected from it; ages and sizes by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.data.ledger import Ledger
from opensloth_core.store.catalog import Artifact, Kind, StoredFile
from opensloth_core.store.collect import Policy, choose, with_use_of_tokens
from opensloth_core.store.prepared import PreparedManifest
from opensloth_core.store.tokens import TokensManifest
from opensloth_core.store.usage import Claim

DAY = 86400.0
NOW = 100 * DAY
LEDGER = Ledger(
    rows_read=1, rows_kept=1, rows_rejected={}, rows_not_sampled=0, examples=1, tokens_in=1, tokens_trained=1,
    tokens_masked=0, tokens_dropped=0, packs=1, pack_length=None, max_seq_length=1, cells=1, padding=0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def empty_home(home: Path) -> None:
    """No locks, no runs."""


def artifact(
    key: str,
    unused_days: float,
    size: int = 100,
    kind: Kind = "prepared",
    source: str = "",
    inodes: tuple[int, ...] | None = None,
    **changes: Any,
) -> Artifact:
    """An artifact made and used last so many days ago.

    Args:
        source: the input; prepared data is made from the tokens of the same one.
    """
    used = NOW - unused_days * DAY
    parts = {"input": source or key}
    manifest: PreparedManifest | TokensManifest | None = None
    if kind == "prepared":
        manifest = PreparedManifest(
            key=key, parts={**parts, "GPU count": "1"}, preparation={}, shards=(), files={}, ledger=LEDGER,
            created=used,
        )  # fmt: skip
    elif kind == "tokens":
        manifest = TokensManifest(key=key, parts=parts, files={}, created=used)
    files = tuple(StoredFile(str(n), (1, n), size, 1) for n in inodes or (hash(key),))
    made = Artifact(key, kind, Path("/store") / kind / key, manifest, None, used, used, files, False)
    return replace(made, **changes)


def chosen(artifacts: list[Artifact], claims: list[Claim] | None = None, **rules: Any) -> dict[str, str]:
    """What goes, with the reason."""
    choices = choose(artifacts, claims or [], Policy(**rules), NOW)
    return {choice.artifact.key: choice.reason for choice in choices if choice.spared is None}


def spared(artifacts: list[Artifact], claims: list[Claim] | None = None, **rules: Any) -> dict[str, str]:
    """What is named and stays, with what protects it."""
    choices = choose(artifacts, claims or [], Policy(**rules), NOW)
    return {choice.artifact.key: choice.spared for choice in choices if choice.spared is not None}


def claim(key: str | None = None, is_live: bool = False, *folders: str, is_clear: bool = True) -> Claim:
    return Claim("sft-run", is_live, key, frozenset(folders), is_clear)


STORE = [artifact("new", 1), artifact("old", 31), artifact("older", 40)]


def test_without_a_rule_nothing_goes() -> None:
    assert Policy().is_empty
    assert chosen(STORE) == {}


def test_age_counts_from_the_last_use() -> None:
    assert chosen(STORE, max_age_seconds=30 * DAY) == {
        "older": "unused for 40 d 00 h",
        "old": "unused for 31 d 00 h",
    }
    used_again = [replace(STORE[1], last_used=NOW - DAY), STORE[2]]
    assert list(chosen(used_again, max_age_seconds=30 * DAY)) == ["older"]


def test_a_use_in_the_future_is_no_age() -> None:
    assert chosen([artifact("of a clock that jumped", -5)], max_age_seconds=1.0) == {}


def test_size_takes_the_least_recently_used_first_and_stops_in_time() -> None:
    assert list(chosen(STORE, max_size_bytes=300)) == []
    assert list(chosen(STORE, max_size_bytes=299)) == ["older"]
    assert list(chosen(STORE, max_size_bytes=100)) == ["older", "old"]
    assert list(chosen(STORE, max_size_bytes=0)) == ["older", "old", "new"]


def test_shared_bytes_count_once_and_go_with_the_last_who_has_them() -> None:
    store = [
        artifact("a", 3, 100, "tokens", inodes=(1, 2)),
        artifact("b", 2, 100, "tokens", inodes=(2, 3)),
        artifact("c", 1, 100, "tokens", inodes=(4,)),
    ]
    assert list(chosen(store, max_size_bytes=400)) == []
    assert list(chosen(store, max_size_bytes=300)) == ["a"]
    assert list(chosen(store, max_size_bytes=299)) == ["a", "b"]


def test_what_is_kept_last_is_kept_from_every_rule() -> None:
    assert list(chosen(STORE, max_age_seconds=0.0, keep=2)) == ["older"]
    assert list(chosen(STORE, max_size_bytes=0, keep=1)) == ["older", "old"]
    assert chosen(STORE, max_age_seconds=30 * DAY, keep=3) == {}


def test_keep_alone_removes_all_others_of_each_kind() -> None:
    tokens = [artifact("t1", 5, kind="tokens"), artifact("t2", 6, kind="tokens")]
    assert chosen([*STORE, *tokens], keep=1) == {
        "older": "beyond --keep 1",
        "old": "beyond --keep 1",
        "t2": "beyond --keep 1",
    }
    assert len(chosen([*STORE, *tokens], keep=0)) == 5


def test_pinned_is_never_collected() -> None:
    store = [replace(one, is_pinned=True) for one in STORE]
    for rules in ({"max_age_seconds": 0.0}, {"max_size_bytes": 0}, {"keep": 0}, {"unreferenced": True}):
        assert chosen(store, **rules) == {}
        assert set(spared(store, **rules).values()) == {"it is pinned"}


def test_what_a_live_run_works_with_is_never_collected_and_the_size_is_met_by_others() -> None:
    live = [claim("older", is_live=True)]
    assert list(chosen(STORE, live, max_size_bytes=200)) == ["old"]
    assert spared(STORE, live, max_size_bytes=200) == {"older": "run sft-run works with it"}
    assert list(chosen(STORE, [claim("older")], max_size_bytes=200)) == ["older"]


def test_unreferenced_is_what_no_run_began_with() -> None:
    assert chosen(STORE, [claim("old")], unreferenced=True) == {
        "older": "no run began with it",
        "new": "no run began with it",
    }


def test_what_was_made_within_the_hour_may_be_about_to_be_referred_to() -> None:
    store = [
        artifact("fresh", 0.5 / 24),
        artifact("tokens", 0.5 / 24, kind="tokens"),
        artifact("stale", 1.5 / 24),
    ]
    assert list(chosen(store, unreferenced=True)) == ["stale"]


def test_tokens_are_referred_to_by_data_that_stays() -> None:
    tokens = artifact("t", 5, kind="tokens", source="x")
    data = artifact("p", 5, source="x")
    assert chosen([tokens, data], [claim("p")], unreferenced=True) == {}
    assert list(chosen([tokens, data], [], unreferenced=True)) == ["p", "t"]
    assert list(chosen([tokens, replace(data, is_pinned=True)], [], unreferenced=True)) == []
    assert chosen([tokens], [], unreferenced=True) == {"t": "no data is from them"}


def test_tokens_were_used_when_data_was_made_from_them() -> None:
    tokens = artifact("t", 40, kind="tokens", source="x")
    data = artifact("p", 2, source="x")
    (used,) = [one for one in with_use_of_tokens([tokens, data]) if one.key == "t"]
    assert used.last_used == NOW - 2 * DAY
    assert chosen([tokens, data], max_age_seconds=30 * DAY) == {}
    # That a run trains on the data again reads no tokens.
    trained_on = replace(artifact("p", 40, source="x"), last_used=NOW)
    assert list(chosen([tokens, trained_on], max_age_seconds=30 * DAY)) == ["t"]


def test_a_merged_model_stays_while_a_run_is_based_on_it_whatever_the_rule() -> None:
    merged = artifact("m", 50, kind="merged")
    base = [claim("k", False, str(merged.folder))]
    assert chosen([merged], base, max_age_seconds=0.0, unreferenced=True, max_size_bytes=0) == {}
    assert spared([merged], base, max_age_seconds=0.0) == {"m": "what run sft-run trained is based on it"}
    assert chosen([merged], unreferenced=True) == {"m": "no run began from it"}


def test_a_merged_model_stays_while_a_run_that_starts_may_need_it() -> None:
    merged = artifact("m", 50, kind="merged")
    starting = [claim(None, is_live=True, is_clear=False)]
    assert spared([merged], starting, keep=0) == {"m": "run sft-run is starting, and may need it"}


def test_an_artifact_is_named_by_the_first_rule_only() -> None:
    choices = choose(STORE, [], Policy(max_age_seconds=0.0, max_size_bytes=0, unreferenced=True), NOW)
    assert [choice.artifact.key for choice in choices] == ["older", "old", "new"]
    assert all(choice.reason.startswith("unused for") for choice in choices)
