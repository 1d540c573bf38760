"""A data set of the hub cannot have a run read this machine's files, or another server's."""

from pathlib import Path

import pytest

from tests.opensloth_core.data.read import hub_server as hub
from tests.opensloth_core.data.read.test_hub import ask
from tests.security.conftest import ROW

README = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {path}\n---\n"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", ["{secret}", "file://{secret}", "{address}/elsewhere.jsonl"])
def test_a_readme_that_names_other_files_is_refused(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with hub.hub_server() as address:
        path = place.format(secret=secret, address=address)
        monkeypatch.setitem(hub.FILES, "README.md", README.format(path=path).encode())
        (answer,) = ask(address, tmp_path, ("org/name", None))
    assert isinstance(answer, str)
    assert "Which?" not in answer
    if "{secret}" in place:
        assert "as its data" in answer
    assert ROW in secret.read_text()
