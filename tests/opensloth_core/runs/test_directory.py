"""The run directory: a name of its own, its records, and its paths."""

import json
import re
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import StoreError
from opensloth_core.preflight import refuse_impossible
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events


def test_a_run_is_named_after_method_model_data_and_time(config: OpenSlothConfig, home: Path) -> None:
    run = RunDirectory.create(config)
    assert run.path.parent == home / "runs"
    assert re.fullmatch(r"sft-gemma_3-my_rows-\d{8}-\d{6}-[0-9a-f]{4}", run.path.name)


@pytest.mark.parametrize(
    ("data", "slug"),
    [
        ("/data/a b/ü&;$(rm).jsonl", "rm"),
        ("世界.json", "data"),
        ("x" * 100 + ".json", "x" * 40),
        ("../..", "data"),
        ("v1.2.train.jsonl", "v1.2.train"),
    ],
)
def test_any_input_name_makes_a_plain_folder_name(data: str, slug: str, home: Path) -> None:
    run = RunDirectory.create(OpenSlothConfig.of({"data": data, "model": "m"}))
    assert run.path.parent == home / "runs"
    assert re.fullmatch(rf"sft-m-{re.escape(slug)}-\d{{8}}-\d{{6}}-....", run.path.name)


def test_runs_of_the_same_configuration_have_folders_of_their_own(
    config: OpenSlothConfig, home: Path
) -> None:
    assert len({RunDirectory.create(config).path for _ in range(5)}) == 5


def test_a_new_run_has_its_configuration_its_log_folder_and_one_event(
    config: OpenSlothConfig, home: Path
) -> None:
    run = RunDirectory.create(config)
    names = sorted(path.name for path in run.path.iterdir())
    assert names == ["config.json", "creator", "events.jsonl", "logs"]
    assert [event["state"] for event in read_events(run.events_path)] == ["created"]
    assert RunDirectory(run.path).config() == config.resolved()
    assert json.loads(run.config_path.read_text())["training"]["learning_rate"] == 2e-4  # resolved


@pytest.mark.parametrize("gpus", [2, "auto", (0, 3), (1,)])
def test_the_configuration_survives_being_written(gpus: object, home: Path) -> None:
    values = {
        "data": "d.jsonl",
        "model": "m",
        "gpus": gpus,
        "output": "/results/out",
        "max_rejected": "5%",
        "r": 8,
    }
    lora = {"lora": {"r": values.pop("r"), "target_modules": "q_proj,v_proj"}}
    config = OpenSlothConfig.of({**values, **lora})
    assert RunDirectory.create(config).config() == config.resolved()


def test_a_full_finetuning_s_record_can_be_started_from(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text('{"question": "a", "answer": "b"}')
    values = {"data": str(data), "model": "embedded", "gpus": 1, "finetuning_type": "full"}
    config = OpenSlothConfig.of(values)
    written = RunDirectory.create(config).config()
    assert written == config.resolved()
    assert len(refuse_impossible(written)) == 1  # as the flow does; no adapter's setting in it


def test_what_ranks_are_started_with_is_recorded(config: OpenSlothConfig, home: Path) -> None:
    run = RunDirectory.create(config)
    launch = Launch("/models/gemma", ("cuda:0", "cuda:2"), "0123abcd")
    run.write_launch(launch)
    assert RunDirectory(run.path).launch() == launch
    assert launch.world_size == 2


def test_all_paths_are_inside_the_run(config: OpenSlothConfig, home: Path) -> None:
    run = RunDirectory.create(config)
    paths = [
        run.config_path,
        run.events_path,
        run.log_path(1),
        run.prepare_log_path,
        run.adapter_dir,
        run.checkpoints_dir,
        run.trainer_dir,
    ]
    assert [str(path.relative_to(run.path)) for path in paths] == [
        "config.json",
        "events.jsonl",
        "logs/rank-1.log",
        "logs/prepare.log",
        "adapter",
        "checkpoints",
        "trainer",
    ]


def test_the_final_loss_is_that_of_the_last_result(config: OpenSlothConfig, home: Path) -> None:
    run = RunDirectory.create(config)
    for loss in (2.5, 1.25):
        run.events.write("result", adapter_dir=str(run.adapter_dir), final_loss=loss)
    assert run.final_loss() == 1.25


def test_runs_of_the_same_second_never_share_a_directory(
    config: OpenSlothConfig, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("secrets.token_hex", lambda num_bytes: next(drawn))
    monkeypatch.setattr("time.strftime", lambda form: "20261123-101500")
    names = [RunDirectory.create(config).path.name for _ in range(2)]
    assert names == [f"sft-gemma_3-my_rows-20261123-101500-{drawn_id}" for drawn_id in ("aaaa", "bbbb")]


def test_a_home_that_cannot_be_written_names_the_way_out(
    config: OpenSlothConfig, home: Path, tmp_path: Path
) -> None:
    home.write_text("a file")
    with pytest.raises(StoreError) as caught:
        RunDirectory.create(config)
    pattern = (
        rf"{home}/runs/\S+: cannot create the run directory: Not a directory; "
        "set OPENSLOTH_HOME to a folder you can write"
    )
    assert re.fullmatch(pattern, str(caught.value))
