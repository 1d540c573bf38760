"""Help and parsing are instant: nothing heavy is imported for them."""

import statistics
import subprocess
import sys
import time

import pytest

HEAVY = {"torch", "prefect", "transformers", "trl", "peft", "unsloth", "datasets", "pyarrow", "numpy", "rich"}
BARE_PYDANTIC = ["-c", "import pydantic"]
HELP = ["-m", "flows.cli", "sft", "--help"]
HELPS = [HELP, [*HELP[:-1], "--help-all"], ["-m", "flows.cli.entry", "os-data", "preview", "--help"]]

PARSE_ONLY = """
import sys
from dataclasses import replace
from flows.cli.main import main
from flows.cli.os_data import OS_DATA
from flows.cli.os_train import OS_TRAIN, SFT
nothing = lambda config: 0
train = replace(OS_TRAIN, commands={"sft": replace(SFT, run=nothing)})
data = replace(OS_DATA, default=replace(OS_DATA.default, run=nothing))
assert main(train, ["sft", "d.jsonl", "--model", "m", "--gpus", "2", "--lr", "1e-4"]) == 0
assert main(data, ["d.jsonl", "--model", "m", "--method", "dpo"]) == 0
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)


def median_seconds(words: list[str], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        python(*words)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    trace = python("-X", "importtime", *words).stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in trace.splitlines()}
    assert "flows" in imported
    assert not imported & HEAVY


def test_parsing_imports_nothing_heavy() -> None:
    imported = set(python("-c", PARSE_ONLY).stdout.split())
    assert "pydantic" in imported
    assert not imported & HEAVY


def test_help_takes_no_longer_than_two_and_a_half_imports_of_pydantic() -> None:
    # About 0.5 measured: the screens that matter are rendered beforehand.
    assert median_seconds(HELP) <= 2.5 * median_seconds(BARE_PYDANTIC)
