"""From a model's name to its folder: what is a folder, what may be a hub id, and what is neither."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opensloth_core.errors import ModelError
from opensloth_core.models.locate import local_folder, model_folder
from tests.opensloth_core.data.read.hub_server import hub_server

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A folder with a configuration."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def message_for(model: str) -> str:
    with pytest.raises(ModelError) as caught:
        local_folder(model)
    return str(caught.value)


def test_a_folder_is_found_by_its_absolute_path(model_dir: Path) -> None:
    assert local_folder(str(model_dir)) == model_dir
    assert model_folder(str(model_dir)) == model_dir


@pytest.mark.parametrize("model", ["model", "./model", "../{parent}/model"])
def test_a_folder_is_found_from_where_the_command_runs(
    model: str, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_dir.parent)
    found = local_folder(model.format(parent=model_dir.parent.name))
    assert found is not None
    assert found.is_absolute()
    assert found.samefile(model_dir)


def test_a_folder_is_found_in_the_user_s_home(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model_dir.parent))
    assert local_folder("~/model") == model_dir


def test_a_folder_wins_over_a_hub_id_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "name" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert local_folder("org/name") == tmp_path / "org" / "name"


@pytest.mark.parametrize("model", ["embedded", "gpt2", "org/name"])
def test_what_may_be_a_hub_id_is_no_folder_and_no_error(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_folder(model) is None


def test_embedded_means_the_embedded_model_even_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "embedded").mkdir()
    monkeypatch.chdir(tmp_path)
    assert local_folder("embedded") is None


@pytest.mark.parametrize("model", ["/no/model", "./model", "../model", "~/no/model", "a/b/c", "."])
def test_what_can_only_be_a_folder_must_be_one(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = "not a model folder (it has no config.json)" if model == "." else "no such model folder"
    assert message_for(model) == f"model {model}: {expected}"


def test_a_folder_without_a_configuration_is_no_model(tmp_path: Path) -> None:
    assert message_for(str(tmp_path)) == f"model {tmp_path}: not a model folder (it has no config.json)"


def test_a_file_is_no_model(model_dir: Path) -> None:
    path = model_dir / "config.json"
    assert message_for(str(path)) == f"model {path}: not a model folder but a file"


def on_the_hub(model: str, hub_cache: Path) -> "subprocess.CompletedProcess[str]":
    """Looks a model up in a process whose hub client is offline, which it decides when imported."""
    program = (
        "import sys\n"
        "from opensloth_core.errors import ModelError\n"
        "from opensloth_core.models.locate import model_folder\n"
        "try:\n"
        "    print(model_folder(sys.argv[1], say=lambda text: print('said:', text)))\n"
        "except ModelError as err:\n"
        "    print('refused:', err)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, model],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub_cache)},
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def test_a_hub_model_in_the_cache_needs_no_network(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    done = on_the_hub("org/name", tmp_path)
    assert done.stdout.splitlines() == [
        "said: fetching org/name from the hub, unless it is in the hub's cache",
        str(snapshot),
    ], done.stderr


@pytest.mark.parametrize("model", ["no-such-org/no-such-model", "not a hub id"])
def test_a_hub_model_that_cannot_be_reached_names_the_ways_out(model: str, tmp_path: Path) -> None:
    done = on_the_hub(model, tmp_path)
    last_line = done.stdout.splitlines()[-1]
    assert last_line.startswith(
        f"refused: model {model}: no such model folder, and not a hub model that can be reached ("
    )
    assert last_line.endswith('); give a folder, a hub id such as org/name, or "embedded"'), done.stderr


def test_the_embedded_model_misspelt(tmp_path: Path) -> None:
    assert on_the_hub("embeded", tmp_path).stdout.splitlines()[-1].endswith('); did you mean "embedded"?')


def test_of_a_hub_model_a_plan_fetches_no_weights(tmp_path: Path) -> None:
    program = (
        "from opensloth_core.models.locate import fetch_tokenizer_files\n"
        "from opensloth_core.models.present import present_folder\n"
        "fetch_tokenizer_files('org/name')\n"
        "print(*sorted(path.name for path in present_folder('org/name').iterdir()))\n"
    )
    files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"]
    with hub_server(model={name: name.encode() for name in files}) as address:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
    assert done.stdout.split() == ["config.json", "tokenizer.json", "tokenizer_config.json"], done.stderr
