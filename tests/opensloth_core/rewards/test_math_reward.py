"""The reward `math`: right answers score 1.0, wrong ones 0.0, and nothing hangs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.errors import DataError
from opensloth_core.rewards.mathematics import judge as judge_module
from opensloth_core.rewards.mathematics.judge import Judge
from opensloth_core.rewards.mathematics.score import check_math_row, score_math
from tests.opensloth_core.rewards.made_completions import completions_of
from tests.opensloth_core.rewards.math_answers import ALGEBRA, GSM8K, NUMBERS, RUNAWAY, STATED
from tests.opensloth_core.rewards.math_phrasings import PHRASINGS

DATA = Path(__file__).parents[4] / "shared" / "data"


def score(text: str, reference: Any, is_finished: bool = True) -> float | None:
    return score_math(completions_of([text], answer=[reference], is_finished=[is_finished]))[0]


@pytest.fixture(scope="module")
def warm_judge() -> None:
    """Loads math-verify, so that what a test measures is the judging."""
    score(r"\boxed{\sqrt{2}}", r"\sqrt{3}")


@pytest.mark.parametrize(("text", "reference", "expected"), [*GSM8K, *STATED, *NUMBERS, *ALGEBRA, *PHRASINGS])
def test_an_answer_scores_what_it_is_worth(text: str, reference: str, expected: float) -> None:
    assert score(text, reference) == expected


def test_many_answers_at_once_score_as_each_alone() -> None:
    rows = [*STATED, *ALGEBRA]
    completions = completions_of(
        [text for text, _, _ in rows], answer=[reference for _, reference, _ in rows]
    )
    assert score_math(completions) == [expected for _, _, expected in rows]


def cpu_seconds() -> float:
    """Processor time of this process and its judges, which other work on the machine does not change."""
    seconds = time.process_time()
    for pool_judge in judge_module._pools[os.getpid()]._judges:
        if pool_judge._process is not None:
            stat = Path(f"/proc/{pool_judge._process.pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


@pytest.mark.parametrize(("text", "reference", "expected"), RUNAWAY)
@pytest.mark.usefixtures("warm_judge")
def test_what_would_never_end_scores_0_in_2_seconds(text: str, reference: str, expected: float) -> None:
    start = cpu_seconds()
    assert score(text, reference) == expected
    assert cpu_seconds() - start < 2


@pytest.mark.usefixtures("warm_judge")
def test_the_next_answer_is_judged_after_a_runaway_one() -> None:
    assert score(r"\boxed{9^{9^{9}}}", "7") == 0.0
    assert score(r"\boxed{2\sqrt{3}}", r"\sqrt{12}") == 1.0


def test_a_judge_that_was_killed_is_started_again() -> None:
    judge = Judge()
    try:
        assert judge.ask((r"\sqrt{4}", "2"))
        assert judge._process is not None
        os.kill(judge._process.pid, signal.SIGKILL)
        judge._process.wait()
        assert judge.ask((r"\sqrt{9}", "3"))
    finally:
        judge.end()


def test_a_judge_that_hangs_is_ended_and_the_verdict_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opensloth_core.rewards.mathematics.judge.HANGING_SECONDS", 1.0)
    judge = Judge()
    try:
        assert judge.ask((r"\sqrt{4}", "2"))
        assert judge._process is not None
        stopped = judge._process
        os.kill(stopped.pid, signal.SIGSTOP)
        assert not judge.ask((r"\sqrt{9}", "3"))
        assert stopped.returncode == -signal.SIGKILL
        assert judge.ask((r"\sqrt{9}", "3"))
    finally:
        judge.end()


def test_it_judges_in_threads() -> None:
    scores: list[float | None] = []
    threads = [
        threading.Thread(target=lambda i=i: scores.append(score(rf"\boxed{{{i}\sqrt{{3}}}}", r"2\sqrt{3}")))  # type: ignore[misc]
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(float, filter(lambda s: s is not None, scores))) == [0, 0, 0, 0, 0, 1]  # type: ignore[arg-type]


def test_it_judges_in_a_forked_process() -> None:
    assert score(r"\boxed{2\sqrt{3}}", r"\sqrt{12}") == 1.0
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(score(r"\boxed{3\sqrt{3}}", r"\sqrt{27}")).encode())
        os._exit(0)
    os.close(write)
    assert os.read(read, 10) == b"1.0"
    os.waitpid(child, 0)
    os.close(read)
    assert score(r"\boxed{5\sqrt{3}}", r"\sqrt{75}") == 1.0


def test_the_judges_end_with_the_process_that_asked() -> None:
    code = (
        "import os, signal; from opensloth_core.rewards.mathematics import judge\n"
        "assert judge.ask_judges([('2', '2')]) == [True]\n"
        "print(*[j._process.pid for j in judge._pools[os.getpid()]._judges if j._process], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    (pid,) = map(int, printed.split())
    deadline = time.monotonic() + 10
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("text", ["so that makes 72", "48 + 24 = 72", "$x = 72$"])
def test_the_last_number_of_a_completion_that_was_cut_is_no_answer(text: str) -> None:
    assert score(text, "72", is_finished=True) == 1.0
    assert score(text, "72", is_finished=False) == 0.0


def test_an_answer_stated_before_the_cut_counts() -> None:
    assert score("The answer is 72. To check, 72 - 24", "72", is_finished=False) == 1.0


def test_an_answer_in_a_thought_that_the_prompt_has_begun_counts_only_behind_its_end() -> None:
    thought = "Maybe the answer is 4. Or maybe not, let me"
    texts = [thought, f"{thought} see.</think>The answer is 4.", r"\boxed{4}</think>The answer is 5."]
    completions = completions_of(
        texts, answer=["4"] * 3, is_finished=[False, True, True], is_thinking=[True] * 3
    )
    assert score_math(completions) == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("reference", [72, 72.0, "72", " 72 ", "$72$", "72 clips"])
def test_references_may_be_numbers_or_text(reference: object) -> None:
    assert score("The answer is 72.", reference) == 1.0


@pytest.mark.parametrize("column", ["answer", "solution", "ground_truth", "final_answer", "reference"])
def test_the_reference_is_found_by_the_column_s_name(column: str) -> None:
    assert score_math(completions_of(["#### 7", "#### 8"], **{column: ["7", "7"]})) == [1.0, 0.0]


def test_a_row_without_a_reference_has_no_score() -> None:
    assert score_math(completions_of(["#### 7", "#### 7"], answer=[None, "7"])) == [None, 1.0]


@pytest.mark.parametrize(
    "reference",
    ["", "  ", "####", "We add the two and then take the first away from it again", True, [1], {"a": 1}],
)
def test_a_reference_without_an_answer_is_named(reference: object) -> None:
    with pytest.raises(DataError, match=r"reward math: the reference .* states no answer") as caught:
        score("The answer is 7", reference)
    assert repr(reference)[:40] in str(caught.value)
    with pytest.raises(DataError):
        check_math_row({"answer": reference})


def test_a_reference_that_math_verify_cannot_read_is_named() -> None:
    with pytest.raises(DataError, match=r"math-verify cannot read the reference '\\\\frac\{1\}\{\+\}'"):
        score(r"\boxed{2x}", r"\frac{1}{+}")
    with pytest.raises(DataError, match="math-verify cannot read"):
        check_math_row({"answer": r"\frac{1}{+}"})


def test_rows_are_checked_before_training() -> None:
    for reference in ("#### 1,234", r"\frac{\sqrt{2}}{2}", r"\text{Evelyn}", "(B)", None):
        check_math_row({"answer": reference})


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_every_solution_of_gsm8k_is_right_by_itself_and_wrong_with_another_number() -> None:
    lines = (DATA / "gsm8k_train.jsonl").read_text().splitlines()
    solutions = [json.loads(line)["answer"] for line in lines]
    assert len(solutions) == 7473
    reasons, numbers = zip(*(solution.rsplit("#### ", 1) for solution in solutions), strict=True)
    plus_one = [str(int(number.replace(",", "")) + 1) for number in numbers]

    def scores(texts: list[str]) -> set[float | None]:
        return set(score_math(completions_of(texts, answer=solutions)))

    assert scores(solutions) == {1.0}
    assert scores([f"{why}#### {number}" for why, number in zip(reasons, plus_one, strict=True)]) == {0.0}
    assert scores([rf"{why}So \boxed{{{n}}}." for why, n in zip(reasons, numbers, strict=True)]) == {1.0}
    # The right number stands in the text, and is not what is said in the end.
    passing = [f"{s}?\nNo, the answer is {n}." for s, n in zip(solutions, plus_one, strict=True)]
    assert scores(passing) == {0.0}
