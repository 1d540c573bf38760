"""A run as a server starts it, and the files that it tries to reach."""

import json
from pathlib import Path

import pytest

ROW = json.dumps({"question": "Which?", "answer": "This."}) + "\n"


@pytest.fixture
def confined(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process works for a run that a server started, with nothing opened; the home folder."""
    monkeypatch.setenv("OPENSLOTH_CONFINED", "1")
    (home / "data").mkdir(parents=True)
    return home


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of rows that nobody opened."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "salaries.jsonl").write_text(ROW)
    return folder / "salaries.jsonl"
