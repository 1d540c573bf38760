"""The benchmark's own instruments: a number nobody can trust is worse than none."""

import sys
from itertools import islice

import pytest

from tests.benchmarks.measure import MeasurementError, run
from tests.benchmarks.memory import AnonymousMemory
from tests.benchmarks.rows import SHARED_DATA, chat_rows


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared data is not here")
def test_no_two_of_the_rows_are_equal() -> None:
    rows = list(islice(chat_rows(), 20_000))  # 8,472 rows, each at least twice

    assert len(set(rows)) == 20_000


def test_anonymous_memory_counts_what_a_grandchild_holds() -> None:
    hold = "import time; held = b'x' * 300_000_000; time.sleep(0.5)"
    pass_on = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}], check=True)"

    with AnonymousMemory() as memory:
        run([sys.executable, "-c", pass_on], {})

    assert 300e6 < memory.peak_bytes < 400e6


def test_a_line_of_the_log_is_known_by_its_second() -> None:
    script = "import time; print('loading'); time.sleep(0.5); print('saved')"

    done = run([sys.executable, "-c", script], {})

    took = done.second_of("saved") - done.second_of("loading")
    assert 0.5 <= took < done.seconds
    with pytest.raises(MeasurementError, match="'packed'; its last line: saved"):
        done.second_of("packed")


def test_a_command_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(MeasurementError, match="ended with 3:\nno room"):
        run([sys.executable, "-c", "print('no room'); raise SystemExit(3)"], {})
