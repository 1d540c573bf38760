"""A tiny real model and a data set for it, shared by the tests that train."""

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from opensloth_core.launch.gc_pause import gc_paused
from opensloth_core.models.tiny import CHATML as CHATML
from opensloth_core.models.tiny import write_tiny_model
from tests.prefect_server import prefect_server
from tests.warm.ranks import warm_python as warm_python
from tests.warm.ranks import warm_ranks as warm_ranks

# As ranks on CPUs have it: several processes of the tests share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples in every run: whoever changes the code is told, not who comes next. To look for
# more, `uv run pytest --hypothesis-profile=search`. How long one takes says how busy the machine is.
_AT_ANY_SPEED: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_AT_ANY_SPEED)
settings.register_profile("search", max_examples=1000, **_AT_ANY_SPEED)
settings.load_profile("same")

COLOURS = ["red", "green", "blue", "yellow", "white", "black", "brown", "grey"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Imports of the tests, and thousands of tests, come to stay."""
    with gc_paused():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that none of them is left over for one process at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `opensloth_core.models.tiny`."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def chat_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 short conversations whose answers differ much in length."""
    path = tmp_path_factory.mktemp("data") / "colours.jsonl"
    rows = []
    for i in range(40):
        colours = " ".join(COLOURS[(i + k) % 8] for k in range(1 + i * 7 % 11))
        rows.append({"question": f"Which colours has flag {i}?", "answer": f"It has {colours}."})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty OPENSLOTH_HOME."""
    home = tmp_path / "home"
    monkeypatch.setenv("OPENSLOTH_HOME", str(home))
    return home


@pytest.fixture
def two_cores() -> None:
    """Skips where two ranks cannot be CPU processes of their own."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPU cores")


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Prefect server with a database of its own, which runs of this process use."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    home = tmp_path_factory.mktemp("prefect")
    with prefect_server(home) as (address, _), temporary_settings({PREFECT_API_URL: address}):
        yield address
