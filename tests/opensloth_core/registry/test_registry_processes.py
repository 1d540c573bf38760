"""Real processes at one registry: readers beside a writer, killed promoters, two promoters at once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.store.remote.place import open_objects
from tests.opensloth_core.registry.adapters import record
from tests.opensloth_core.registry.process import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, home: Path) -> str:
    return str(request.getfixturevalue("s3_url")) if request.param == "s3" else str(home / "models")


@pytest.fixture
def start(root: str, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    def run(*words: object, name: str = "one") -> subprocess.Popen[str]:
        command, *others = map(str, words)
        path = str(Path(__file__).with_name("process.py"))
        return subprocess.Popen(
            [sys.executable, path, command, root, str(tmp_path / f"{command}-{name}"), *others],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    return run


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate()
    assert process.returncode == 0
    return dict(json.loads(out))


def test_a_reader_sees_no_mix_while_versions_are_promoted(start, root: str, tmp_path: Path) -> None:
    stop, rounds = tmp_path / "stop", 10 if root.startswith("s3") else 50
    reader = start("read", stop)
    try:
        written = answer(start("write", rounds))
    finally:
        stop.touch()
        seen = answer(reader)
    # The last promotion was rolled back, to the version before.
    assert written == {"current": f"run-{rounds - 1}"}
    assert seen["mixed"] == 0
    assert seen["versions"] >= 3 and seen["looks"] > seen["removed"]


def test_promoters_killed_at_any_moment_leave_one_whole_version_current(
    start, root: str, make_adapter_dir: Callable[[int], Path], tmp_path: Path
) -> None:
    times = 3 if root.startswith("s3") else 10
    killed = answer(start("kills", times))
    assert killed["mixed"] == 0
    before = 0
    for number, (seen, ended) in enumerate(killed["seen"]):
        assert seen == number or (seen == before and not ended)
        before = seen
    assert killed["killed"] == times
    registry = open_registry("bot", root, timing=QUICK)
    with_all = registry.promote(make_adapter_dir(99), record(99), keep=3)
    assert left_behind(registry, root) == []
    assert with_all.record.run == "run-99" and len(registry.versions()) <= 3


def left_behind(registry: Registry, root: str) -> list[str]:
    """What is neither a version that is kept nor a file of the registry's own."""
    kept = {version.id for version in registry.versions()}
    if root.startswith("s3"):
        found = {path.split("/")[2] for path in open_objects(root).listing("bot/versions")}
        return sorted(found - kept)
    own = {".lock", ".retrain.lock", "current", "versions"}
    here = {path.name for path in Path(root, "bot").iterdir()} - own
    return sorted(here | {path.name for path in Path(root, "bot", "versions").iterdir()} - kept - {".lock"})


def test_two_promoters_at_once_take_turns(start, root: str) -> None:
    promoters = [start("promote", 3, name=name) for name in ("one", "two")]
    for process in promoters:
        answer(process)
    registry = open_registry("bot", root, timing=QUICK)
    versions = registry.versions()
    assert [int(version.id[:4]) for version in versions] == [6, 5, 4, 3, 2, 1]
    # Each replaced the one before it: nobody promoted over what he had not seen.
    assert [version.replaced for version in versions] == [*(one.id for one in versions[1:]), None]
    current = registry.current()
    assert current is not None and current.id == versions[0].id
