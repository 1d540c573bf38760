"""A machine that nobody has set up."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def clean(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, and nothing of this machine's user."""
    for name in (
        "PREFECT_API_URL",
        "PREFECT_API_AUTH_STRING",
        "PREFECT_API_KEY",
        "PREFECT_PROFILE",
        "OPENSLOTH_STORE",
        "OPENSLOTH_CODE_SANDBOX",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
