"""An artifact exists whole or not at all, whatever happens to the process that writes it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.store.artifact import (
    MANIFEST,
    FileRecord,
    Manifest,
    ManifestError,
    commit,
    damage,
    discard,
    file_records,
    read_manifest,
    staging,
)

HELLO = "324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf"  # printf hello | b2sum -l 256


def publish(target: Path, **contents: str) -> None:
    """Commits files of the given contents as an artifact."""
    with staging(target) as folder:
        for name, content in contents.items():
            (folder / name).write_text(content)
        commit(folder, target, Manifest(files=file_records(folder)))


def contents(target: Path) -> dict[str, str]:
    """What files of an artifact hold, but its manifest."""
    return {path.name: path.read_text() for path in target.iterdir() if path.name != MANIFEST}


def manifest(target: Path) -> Manifest:
    return Manifest.model_validate_json((target / MANIFEST).read_text())


def visible(folder: Path) -> list[str]:
    """Names in a folder that are not of the store's own bookkeeping."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".staging")]


def test_a_record_holds_size_and_digest_and_leaves_out_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hello")
    (tmp_path / MANIFEST).write_text("{}")
    assert file_records(tmp_path) == {"a": FileRecord(size_bytes=5, blake2b=HELLO)}


def test_a_committed_artifact_has_its_files_and_a_manifest_of_them(tmp_path: Path) -> None:
    target = tmp_path / "store" / "key"
    publish(target, a="hello", b="")
    assert contents(target) == {"a": "hello", "b": ""}
    assert list(manifest(target).files) == ["a", "b"]
    assert manifest(target).files["a"] == FileRecord(size_bytes=5, blake2b=HELLO)
    assert visible(target.parent) == ["key"]
    assert leftovers(target.parent) == []


def test_staging_is_gone_after_an_error_and_nothing_is_published(tmp_path: Path) -> None:
    target = tmp_path / "key"
    with pytest.raises(RuntimeError, match="half way"), staging(target) as folder:
        (folder / "a").write_text("hello")
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []


def test_staging_that_was_not_committed_is_gone(tmp_path: Path) -> None:
    with staging(tmp_path / "key") as folder:
        (folder / "a").write_text("hello")
        assert folder.parent == tmp_path  # a rename within one file system
    assert list(tmp_path.iterdir()) == []


def test_the_final_name_is_not_there_before_the_manifest(tmp_path: Path) -> None:
    target = tmp_path / "key"
    with staging(target) as folder:
        (folder / "a").write_text("hello")
        (folder / MANIFEST).mkdir()  # the manifest cannot be written
        with pytest.raises(IsADirectoryError):
            commit(folder, target, Manifest(files=file_records(folder)))
        assert not target.exists()


def test_a_store_that_cannot_be_written_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught, staging(tmp_path / "file" / "key"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'file'}: cannot write the artifact store: Not a directory; "
        "make room, or set OPENSLOTH_HOME to a folder you can write"
    )


def test_a_whole_artifact_in_place_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "key"
    publish(target, a="hello")
    before = (target / "a").stat().st_ino
    publish(target, a="hello")
    assert (target / "a").stat().st_ino == before
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("harm", ["missing", "truncated", "longer", "torn", "foreign", "no-manifest"])
def test_a_damaged_artifact_in_place_is_replaced(tmp_path: Path, harm: str) -> None:
    target = tmp_path / "key"
    publish(target, a="hello", b="there")
    match harm:
        case "missing":
            (target / "a").unlink()
        case "truncated":
            os.truncate(target / "a", 4)
        case "longer":
            (target / "a").write_text("hello again")
        case "torn":
            os.truncate(target / MANIFEST, 20)
        case "foreign":  # whole JSON that another version wrote
            (target / MANIFEST).write_text('{"files": {}, "version": 2}')
        case "no-manifest":
            (target / MANIFEST).unlink()
    publish(target, a="hello", b="there")
    assert contents(target) == {"a": "hello", "b": "there"}
    assert damage(target, manifest(target).files) is None
    assert visible(tmp_path) == ["key"]
    assert leftovers(tmp_path) == []


def test_damage_names_the_file_and_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x" * 1234)
    assert damage(tmp_path, {}) is None
    assert damage(tmp_path, {"a": FileRecord(size_bytes=1234, blake2b="")}) is None
    assert damage(tmp_path, {"a": FileRecord(size_bytes=5678, blake2b="")}) == (
        "a has 1,234 bytes, should have 5,678"
    )
    assert damage(tmp_path, {"b": FileRecord(size_bytes=0, blake2b="")}) == "b is missing"


COMMIT_WHEN_TOLD = """
import sys
from pathlib import Path
from opensloth_core.store.artifact import Manifest, commit, file_records, staging

target, content = Path(sys.argv[1]), sys.argv[2]
for _ in range(int(sys.argv[3])):
    with staging(target) as folder:
        for name in "abcdefgh":
            (folder / name).write_text(content)
        print("staged", flush=True)
        sys.stdin.readline()
        commit(folder, target, Manifest(files=file_records(folder)))
"""


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("in_place", ["nothing", "a damaged artifact"])
def test_two_processes_that_commit_at_once_both_succeed(tmp_path: Path, in_place: str) -> None:
    target = tmp_path / "key"
    num_rounds = 40
    contents_of = {"one": "1" * 10, "two": "2" * 10}
    processes = [start(COMMIT_WHEN_TOLD, str(target), text, str(num_rounds)) for text in contents_of.values()]
    for _ in range(num_rounds):
        for process in processes:
            assert process.stdout and process.stdin
            assert process.stdout.readline() == "staged\n", process.stderr and process.stderr.read()
        # Both have committed the round before, and staged this one.
        shutil.rmtree(target, ignore_errors=True)
        if in_place == "a damaged artifact":
            publish(target, a="x")
            (target / "a").unlink()
        for process in processes:
            assert process.stdin
            process.stdin.write("now\n")
            process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    assert visible(tmp_path) == ["key"]
    assert leftovers(tmp_path) == []
    assert damage(target, manifest(target).files) is None
    found = contents(target)
    assert set(found) == set("abcdefgh")
    assert len(set(found.values())) == 1  # all of one process


def test_a_process_killed_while_staging_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    target = tmp_path / "key"
    process = start(COMMIT_WHEN_TOLD, str(target), "text", "1")
    assert process.stdout
    assert process.stdout.readline() == "staged\n"
    process.kill()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert visible(tmp_path) == []
    publish(target, a="hello")
    assert contents(target) == {"a": "hello"}


def test_a_killed_process_does_not_hold_the_store(tmp_path: Path) -> None:
    holder = start(
        "import fcntl, sys, time\n"
        "lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print('held', flush=True)\n"
        "time.sleep(60)",
        str(tmp_path / ".lock"),
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate(timeout=30)
    publish(tmp_path / "key", a="hello")
    assert contents(tmp_path / "key") == {"a": "hello"}


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    killed, living = (start(COMMIT_WHEN_TOLD, str(tmp_path / name), "text", "1") for name in ("one", "two"))
    for process in (killed, living):
        assert process.stdout
        assert process.stdout.readline() == "staged\n"
    killed.kill()
    killed.communicate(timeout=30)
    assert sorted(re.sub("[0-9a-f]{16}", "*", name) for name in leftovers(tmp_path)) == [
        ".staging-one-*",
        ".staging-one-*.lock",
        ".staging-two-*",
        ".staging-two-*.lock",
    ]
    publish(tmp_path / "key", a="hello")
    assert sorted(re.sub("[0-9a-f]{16}", "*", name) for name in leftovers(tmp_path)) == [
        ".staging-two-*",
        ".staging-two-*.lock",
    ]
    living.communicate("now\n", timeout=30)
    assert set(contents(tmp_path / "two")) == set("abcdefgh")
    assert leftovers(tmp_path) == []


def test_a_stopped_process_s_staging_is_left_alone(tmp_path: Path) -> None:
    process = start(COMMIT_WHEN_TOLD, str(tmp_path / "one"), "text", "1")
    assert process.stdout
    assert process.stdout.readline() == "staged\n"
    process.send_signal(signal.SIGSTOP)
    publish(tmp_path / "two", a="hello")
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate("now\n", timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert set(contents(tmp_path / "one")) == set("abcdefgh")


def test_staging_of_an_earlier_version_and_half_removed_artifacts_are_removed(tmp_path: Path) -> None:
    for name in (f".staging-key-{os.getpid()}-0badcafe", ".staging-key-0123456789abcdef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("half")
    publish(tmp_path / "key", a="hello")
    assert leftovers(tmp_path) == []


def test_a_discarded_artifact_is_gone_and_one_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    publish(tmp_path / "key", a="hello")
    for _ in range(2):
        discard(tmp_path / "key")
        assert visible(tmp_path) == leftovers(tmp_path) == []


def test_the_manifest_is_sealed(tmp_path: Path) -> None:
    publish(tmp_path / "key", a="hello")
    text = (tmp_path / "key" / MANIFEST).read_text()
    assert read_manifest(tmp_path / "key", Manifest) == Manifest.model_validate_json(text)
    (tmp_path / "key" / MANIFEST).write_text(text.replace('"size_bytes": 5', '"size_bytes": 4'))
    with pytest.raises(ManifestError, match=r"^manifest\.json has changed since it was written$"):
        read_manifest(tmp_path / "key", Manifest)
