"""The command as a user starts it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def os_train(prefect_api: str, home: Path) -> Iterator[Start]:
    """Starts `os-train` with some words; what still runs at the end of the test is killed."""
    yield from starter("os-train", prefect_api, home)


@pytest.fixture
def os_data(prefect_api: str, home: Path) -> Iterator[Start]:
    """Starts `os-data` with some words; what still runs at the end of the test is killed."""
    yield from starter("os-data", prefect_api, home)


def starter(program: str, prefect_api: str, home: Path) -> Iterator[Start]:
    """Starts a program with some words; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli.entry", program, *map(str, words)],
            env={**os.environ, "PREFECT_API_URL": prefect_api, "OPENSLOTH_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
