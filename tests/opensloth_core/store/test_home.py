"""Where everything of ours lives."""

from pathlib import Path

import pytest

from opensloth_core.store.home import home_dir


@pytest.mark.parametrize("given", ["~/mine", "", None])
def test_a_home_may_be_quoted_as_it_is_typed(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")
    monkeypatch.delenv("OPENSLOTH_HOME", raising=False)
    if given is not None:
        monkeypatch.setenv("OPENSLOTH_HOME", given)
    assert home_dir() == Path("/users/me") / ("mine" if given else ".opensloth")
