"""`os-train doctor` as it is typed."""

import json
import os
import subprocess
import sys
import time

from flows.cli.doctor import lines
from opensloth_core.doctor.finding import error, note, ok, warning

NAMES = [
    "versions", "GPUs", "ranks", "server", "store", "remote store", "shared memory", "disk", "clock",
    "sandbox", "tmux",
]  # fmt: skip


def doctor(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    cleared = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PREFECT_API_URL", "OPENSLOTH_STORE")
    }
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flows.cli", "doctor", "--quick", *flags],
        capture_output=True,
        text=True,
        check=False,
        env={**cleared, "COLUMNS": "80", **variables},
    )


def test_every_check_has_its_line_and_torch_is_not_imported(home, tmp_path) -> None:
    begun = time.monotonic()
    done = doctor(PREFECT_HOME=str(tmp_path))
    assert time.monotonic() - begun < 10
    told = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert [line[7:22].strip() for line in told[:-1]] == NAMES
    # A path is longer than a line, and not broken.
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if str(home.parent) not in line)
    assert "\x1b" not in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "prefect", "unsloth"}


def test_what_is_broken_is_red_with_its_remedy_and_exit_code_1(home) -> None:
    home.write_text("in the way")
    done = doctor("--json", PREFECT_API_URL="http://127.0.0.1:1/api")
    assert done.returncode == 1
    record = json.loads(done.stdout)
    assert record["ok"] is False
    checks = {one["check"]: one for one in record["checks"]}
    assert list(checks) == NAMES
    assert checks["server"]["mark"] == checks["store"]["mark"] == "error"
    assert all(one["remedy"] for one in record["checks"] if one["mark"] in ("warning", "error"))
    done = doctor(PREFECT_API_URL="http://127.0.0.1:1/api")
    assert done.returncode == 1
    assert (
        "\nERROR  server         http://127.0.0.1:1/api does not answer: Connection refused\n" in done.stdout
    )
    assert "\n                      -> start it, or unset PREFECT_API_URL and let os-train\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(("2 errors", "3 errors"))


def test_marks_are_words_and_colours_only_add_to_them(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    findings = [ok("a", "x"), note("b", "x"), warning("c", "x", "do"), error("d", "x", "do")]
    plain = [lines(one, coloured=False) for one in findings]
    assert [one[0].split()[0] for one in plain] == ["ok", "-", "WARN", "ERROR"]
    assert [len(one) for one in plain] == [1, 1, 2, 2]
    assert plain[3][1].strip() == "-> do"
    assert lines(findings[3], coloured=True)[0].startswith("\x1b[31mERROR")
