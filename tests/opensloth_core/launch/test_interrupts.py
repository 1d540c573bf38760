"""SIGTERM cancels a run that is driven by the main thread, also after somebody else took the signal."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

RUN = """
import asyncio, os, signal, sys
from opensloth_core.launch.interrupts import signals_cancel, take_signals_back

def elsewhere(number, frame):
    print("taken")

async def main():
    try:
        with signals_cancel():
            if sys.argv[1] == "taken and taken back":
                signal.signal(signal.SIGTERM, elsewhere)
                take_signals_back()
            os.kill(os.getpid(), int(sys.argv[2]))
            await asyncio.sleep(30)
    except asyncio.CancelledError:
        asyncio.current_task().uncancel()
        print("cancelled", signal.getsignal(signal.SIGTERM) is elsewhere_before)

elsewhere_before = signal.getsignal(signal.SIGTERM)
asyncio.run(main())
"""


def printed(source: str, *words: str) -> str:
    """What a program prints; what it says of errors is shown beside the test's."""
    done = subprocess.run(
        [sys.executable, "-c", source, *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        timeout=30,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("case", ["alone", "taken and taken back"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_and_handlers_are_put_back(case: str, number: signal.Signals) -> None:
    assert printed(RUN, case, str(int(number))) == "cancelled True\n"


AGAIN = """
import asyncio, os, signal
from opensloth_core.launch.interrupts import signals_cancel

async def main():
    with signals_cancel():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.1)
            print("cleaned up")

try:
    asyncio.run(main())
except asyncio.CancelledError:
    print("cancelled")
"""


def test_further_signals_do_not_cut_short_what_the_first_has_begun() -> None:
    assert printed(AGAIN) == "cleaned up\ncancelled\n"
