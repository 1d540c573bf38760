"""Each check finds what is really broken, and says what to do about it."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opensloth_core.doctor.collective import smoke_test
from opensloth_core.doctor.disk import check_disk
from opensloth_core.doctor.examine import Check, examine
from opensloth_core.doctor.finding import Finding, ok
from opensloth_core.doctor.gpus import Driver, judged, torch_cuda
from opensloth_core.doctor.places import file_system
from opensloth_core.doctor.remote_store import check_remote_store
from opensloth_core.doctor.sandbox import check_sandbox
from opensloth_core.doctor.shared_memory import check_shared_memory
from opensloth_core.doctor.store import check_store
from opensloth_core.doctor.tmux import check_tmux
from opensloth_core.doctor.versions import check_versions, violations

H200 = Driver("580.1", (13, 0), ("NVIDIA H200", "NVIDIA H200"))


def test_installed_packages_are_within_the_projects_bounds() -> None:
    finding = check_versions()
    assert finding.mark == "ok", finding
    assert "torch 2." in finding.text


def test_packages_out_of_bounds_and_missing_ones_are_named_and_those_of_extras_are_not() -> None:
    wrong = violations(["pydantic<2", "no-such-package", "nothing; extra == 'demo'", "pydantic>=2"])
    assert len(wrong) == 2
    assert wrong[0].startswith("pydantic 2.") and wrong[0].endswith(" is not <2")
    assert wrong[1] == "no-such-package is not installed"


def test_gpus_that_torch_can_use_are_well() -> None:
    finding = judged(H200, "13.0", ["GPU-a", "GPU-b"])
    assert finding.mark == "ok"
    assert finding.text == "2 GPUs (NVIDIA H200), driver 580.1 (CUDA 13.0), torch for CUDA 13.0"


@pytest.mark.parametrize(
    ("driver", "built_for", "visible", "mark", "words"),
    [
        (H200, None, ["GPU-a"], "error", "torch is a build for CPUs"),
        (Driver("550.1", (12, 4), ("H200",)), "13.0", ["GPU-a"], "error", "too old for torch"),
        (Driver("550.1", (12, 4), ("H200",)), "12.8", ["GPU-a"], "ok", "1 GPU (H200)"),
        (Driver("580.1", (13, 0), ()), "13.0", [], "error", "sees no GPU"),
        (H200, "13.0", [], "warning", "hides all 2"),
        (Driver("580.1", (13, 0), ("H100", "L4")), "13.0", ["GPU-a", "GPU-b"], "warning", "not of one kind"),
    ],
)
def test_gpus_that_torch_cannot_use_are_explained(driver, built_for, visible, mark, words) -> None:
    finding = judged(driver, built_for, visible)
    assert (finding.mark, words in finding.text) == (mark, True), finding


def test_the_cuda_of_torch_is_read_without_importing_it() -> None:
    import torch

    assert torch_cuda() == torch.version.cuda


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_processes_add_up_over_gloo() -> None:
    finding = smoke_test("gloo", 2, 100)
    assert finding.mark == "ok", finding
    assert "2 CPU processes over gloo add up right" in finding.text


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_ranks_that_cannot_start_are_an_error_with_their_reason_and_leave_nothing() -> None:
    finding = smoke_test("no-such-backend", 2, 100)
    assert finding.mark == "error"
    assert "rank " in finding.text and "no-such-backend" in finding.text.lower()
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "doctor.all_reduce no-such-backend" not in found


def test_ranks_that_take_too_long_are_ended() -> None:
    begun = time.monotonic()
    finding = smoke_test("gloo", 2, 0.3)
    assert (finding.mark, "no result within 300 ms" in finding.text) == ("error", True)
    assert time.monotonic() - begun < 5


def test_a_store_that_can_be_written_is_well_and_nothing_is_left_there(home) -> None:
    finding = check_store()
    assert finding.mark in ("ok", "warning"), finding
    assert not home.exists()
    (home / "store").mkdir(parents=True)
    assert "can be written and locked" in check_store().text
    assert list((home / "store").iterdir()) == []


AS_NOBODY = """
import os, sys
from opensloth_core.doctor.store import check_store
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
print(check_store())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_store_of_somebody_else_is_an_error(home) -> None:
    (home / "store").mkdir(parents=True)
    home.chmod(0o755)
    for parent in home.parents[:-2]:
        parent.chmod(parent.stat().st_mode | 0o005)
    uid = str(pwd.getpwnam("nobody").pw_uid)

    def found() -> str:
        command = [sys.executable, "-c", AS_NOBODY, uid]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert "mark='error'" in found()
    assert f"{home}/store: cannot be written: Permission denied" in found() and "OPENSLOTH_HOME" in found()
    home.chmod(0o700)
    assert f"{home}: cannot be written: Permission denied" in found()


def test_a_home_that_is_a_file_is_an_error(home, monkeypatch) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("")
    finding = check_store()
    assert (finding.mark, "it is a file" in finding.text) == ("error", True)


def test_a_shared_folder_as_remote_store_is_written_and_left_as_it_was(tmp_path, monkeypatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("OPENSLOTH_STORE", str(shared))
    assert check_remote_store().mark == "ok"
    assert [path for path in shared.rglob("*") if path.is_file()] == []


def test_a_remote_store_that_cannot_be_reached_is_an_error(monkeypatch) -> None:
    monkeypatch.setenv("OPENSLOTH_STORE", "s3://bucket/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    finding = check_remote_store()
    assert finding.mark == "error" and "s3://bucket/x: " in finding.text
    assert finding.remedy.startswith("unset OPENSLOTH_STORE to use this machine's store alone (README: ")


def test_little_shared_memory_is_said_where_there_are_several_gpus(tmp_path) -> None:
    assert check_shared_memory(tmp_path, num_gpus=0).mark == "ok"
    finding = check_shared_memory(tmp_path / "none", num_gpus=2)
    assert finding.mark == "error" and "mount it" in str(finding.remedy)


def test_too_little_disk_is_an_error_and_little_a_warning() -> None:
    free = shutil.disk_usage("/").free
    assert check_disk(0, 0).mark == "ok"
    assert check_disk(0, 1 << 62).mark == "warning"
    finding = check_disk(1 << 62, 1 << 62)
    assert finding.mark == "error" and "home" in finding.text and "cache gc" in str(finding.remedy)
    assert free > 0


def test_tmux_that_is_missing_is_a_warning(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = check_tmux()
    assert finding == Finding("tmux", "warning", "not installed", "only --tmux needs it: apt install tmux")


def test_the_sandbox_runs_a_program_or_says_why_not(monkeypatch) -> None:
    assert check_sandbox().mark in ("ok", "warning")
    monkeypatch.setenv("OPENSLOTH_CODE_SANDBOX", "limits")
    assert check_sandbox().mark == "warning"


def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount() -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(Path("/")) != "proc"


def test_a_check_that_hangs_or_breaks_keeps_no_other_from_being_told() -> None:
    def hang() -> Finding:
        time.sleep(60)
        return ok("hangs", "")

    def crash() -> Finding:
        raise KeyError("boom")

    checks = (
        Check("hangs", hang, "do this", limit_seconds=0.3),
        Check("breaks", crash, "do that"),
        Check("works", lambda: ok("works", "fine"), ""),
        Check("slow", hang, "", is_slow=True),
    )
    begun = time.monotonic()
    hangs, breaks, works, slow = examine(quick=True, checks=checks)
    assert time.monotonic() - begun < 2
    assert (hangs.mark, hangs.text, hangs.remedy) == ("error", "no answer within 300 ms", "do this")
    assert (breaks.mark, breaks.text) == ("error", "the check itself failed: KeyError: 'boom'")
    assert works == ok("works", "fine")
    assert slow.mark == "note"
