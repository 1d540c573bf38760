"""Models, outputs and runs of a run that a server started."""

import json
import shutil
from pathlib import Path

import pytest

from opensloth_core.checks.outputs import check_output
from opensloth_core.checks.parameters import check_parameters
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.models.start import find_start, refuse_start
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.export import export_prepared

OUTSIDE = "leads outside of what runs of this server may"


@pytest.fixture
def private_model(tmp_path: Path, tiny_model_dir: Path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "private" / "model"))


def config(model: str | Path, **settings: object) -> OpenSlothConfig:
    return OpenSlothConfig.of({"data": "x.jsonl", "model": str(model), "gpus": 1, **settings})


def test_a_model_in_the_home_starts_and_one_outside_does_not(confined: Path, private_model: Path) -> None:
    inside = Path(shutil.copytree(private_model, confined / "models" / "tiny"))
    refuse_start(config(inside))
    for name in (private_model, f"{inside}/../../../private/model", "/etc", "/nowhere"):
        with pytest.raises(ModelError, match=OUTSIDE):
            refuse_start(config(name))


def test_a_folder_that_promoted_models_are_kept_in_is_read(
    confined: Path, private_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENSLOTH_MODELS", "s3://bucket/models")
    with pytest.raises(ModelError, match=OUTSIDE):
        refuse_start(config(private_model))
    monkeypatch.setenv("OPENSLOTH_MODELS", str(private_model.parent))
    refuse_start(config(private_model))


def test_a_model_whose_files_are_links_out_is_refused(confined: Path, private_model: Path) -> None:
    folder = confined / "models" / "linked"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(private_model)
    with pytest.raises(ModelError, match=OUTSIDE):
        refuse_start(config(folder))
    folder.unlink()
    shutil.copytree(private_model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(private_model / "model.safetensors")
    with pytest.raises(ModelError, match=r"its model\.safetensors: leads outside"):
        refuse_start(config(folder))


def test_an_adapter_cannot_name_a_base_outside(confined: Path, private_model: Path) -> None:
    adapter = confined / "models" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 1, "base_model_name_or_path": str(private_model)})
    )
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=OUTSIDE):
        refuse_start(config(adapter))


def test_an_adapter_outside_is_refused(confined: Path, private_model: Path) -> None:
    with pytest.raises(ModelError, match=OUTSIDE):
        find_start("embedded", private_model)


def test_a_folder_of_the_working_directory_is_not_taken_for_a_model(
    confined: Path, private_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(private_model.parent.parent)
    # It may only be a model of the hub.
    assert find_start("private/model").model == "private/model"
    from opensloth_core.models.locate import local_folder

    assert local_folder("private/model") is None


def test_init_from_takes_names_of_runs_only(
    confined: Path, private_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="give the name of a run of this server"):
        OpenSlothConfig.of({"data": "x.jsonl", "init_from": str(private_model)})
    RunDirectory(private_model).events_path.touch()
    monkeypatch.chdir(private_model.parent)
    for name in (private_model.name, "last"):
        with pytest.raises(ConfigError, match=f"{name}: no such run in {confined}/runs"):
            OpenSlothConfig.of({"data": "x.jsonl", "init_from": name})


def test_outputs_are_written_where_they_may_be_and_nowhere_else(
    confined: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_output("output", confined / "outputs" / "mine")
    (confined / "outputs").mkdir()
    (confined / "outputs" / "link").symlink_to(tmp_path)
    for folder in (
        tmp_path / "out",
        confined / "outputs" / ".." / ".." / "out",
        confined / "outputs" / "link" / "out",
        confined / "rewards" / "mine",
        confined / "runs" / "mine",
        Path("/etc/cron.d/mine"),
        Path("relative"),
    ):
        with pytest.raises(ConfigError, match=OUTSIDE):
            check_output("output", folder)
    monkeypatch.setenv("OPENSLOTH_ROOTS", str(tmp_path))
    with pytest.raises(ConfigError, match="OPENSLOTH_OUTPUT_ROOTS"):
        check_output("output", tmp_path / "out")
    monkeypatch.setenv("OPENSLOTH_OUTPUT_ROOTS", str(tmp_path))
    check_output("output", tmp_path / "out")


def test_an_output_that_became_a_link_is_refused_when_it_is_written(confined: Path, tmp_path: Path) -> None:
    (confined / "outputs").mkdir()
    check_output("data_output", confined / "outputs" / "a" / "b")
    (tmp_path / "etc").mkdir()
    (confined / "outputs" / "a").symlink_to(tmp_path / "etc")
    with pytest.raises(ConfigError, match=OUTSIDE):
        export_prepared("0" * 64, confined / "outputs" / "a" / "b")
    assert not list((tmp_path / "etc").iterdir())


@pytest.mark.parametrize(
    "resume", ["/etc", "../../etc", "..", ".", "", "runs/../../x", "~", "opensloth_core", "\0"]
)
def test_resume_takes_names_of_runs_only(confined: Path, resume: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=r"resume|null"):
        check_parameters(config("embedded"), resume, None)


def test_a_run_directory_cannot_be_given(confined: Path, tmp_path: Path) -> None:
    run = RunDirectory.create(config("embedded"))
    for folder in (Path("/etc"), run.path, tmp_path):
        with pytest.raises(ConfigError, match="makes its own directory"):
            check_parameters(config("embedded"), None, folder)
    check_parameters(config("embedded"), "auto", None)
    check_parameters(config("embedded"), run.path.name, None)


def test_a_url_with_a_password_is_no_parameter(confined: Path) -> None:
    given = OpenSlothConfig.of({"data": "https://me:hunter22@host/a.jsonl", "model": "embedded"})
    with pytest.raises(ConfigError, match="holds a password") as caught:
        check_parameters(given, None, None)
    assert "hunter22" not in str(caught.value)


def test_a_model_s_code_needs_the_leave_of_the_worker_s_owner(
    confined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = config("embedded", trust_remote_code=True)
    with pytest.raises(ConfigError, match="OPENSLOTH_ALLOW_REMOTE_CODE=1"):
        check_parameters(trusting, None, None)
    monkeypatch.setenv("OPENSLOTH_ALLOW_REMOTE_CODE", "1")
    check_parameters(trusting, None, None)
