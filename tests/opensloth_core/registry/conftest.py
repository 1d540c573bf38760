"""Registries of every kind, and adapters to promote."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.registry.records import Version
from tests.opensloth_core.registry.adapters import record, write_adapter
from tests.opensloth_core.registry.process import QUICK
from tests.opensloth_core.store.remote.conftest import loose_url as loose_url
from tests.opensloth_core.store.remote.conftest import s3_account as s3_account
from tests.opensloth_core.store.remote.conftest import s3_endpoint as s3_endpoint
from tests.opensloth_core.store.remote.conftest import s3_url as s3_url

Promote = Callable[..., Version]


@pytest.fixture(params=["folder", "memory", "s3"])
def root(request: pytest.FixtureRequest, home: Path) -> str:
    """An empty place for models of each kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_url"))
    return str(home / "models") if request.param == "folder" else f"memory://{secrets.token_hex(6)}"


@pytest.fixture
def registry(root: str) -> Registry:
    """A model that has no version yet."""
    return open_registry("bot", root, timing=QUICK)


@pytest.fixture
def make_adapter_dir(tmp_path: Path) -> Callable[[int], Path]:
    """An adapter of a mark."""
    return lambda mark: write_adapter(tmp_path / f"adapter-{mark}-{secrets.token_hex(2)}", mark)


@pytest.fixture
def promote(registry: Registry, make_adapter_dir: Callable[[int], Path]) -> Promote:
    """Promotes an adapter of a mark."""

    def run(mark: int, keep: int = 3, replacing: str | None = None, **others: object) -> Version:
        return registry.promote(make_adapter_dir(mark), record(mark, **others), keep, replacing)

    return run
