"""Settings from a file, a preset or a variable, as they are typed, and what is said when they are wrong."""

import shlex
from pathlib import Path

import pytest

from flows.cli.main import main
from flows.cli.os_data import OS_DATA
from flows.cli.os_train import METHODS, OS_TRAIN
from flows.cli.parser import parse_flags
from flows.cli.settings import SourceSettings
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.presets.names import PRESETS
from opensloth_core.runs.directory import RunDirectory


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(line: str) -> OpenSlothConfig:
    _, method, *words = shlex.split(line)
    config: OpenSlothConfig = METHODS[method].configure(parse_flags(METHODS[method].flags, words)).config
    return config


def test_flags_beat_the_environment_and_that_the_file_and_that_the_preset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("run.yaml").write_text("data: d.jsonl\nmodel: m\nmax_steps: 2\nseed: 2\nsamples: 2\n")
    monkeypatch.setenv("OPENSLOTH_SET_MAX_STEPS", "3")
    monkeypatch.setenv("OPENSLOTH_SET_SEED", "3")
    config = configured("os-train sft --preset quick --config run.yaml --seed 4")
    assert (config.training.save_steps, config.samples, config.training.max_steps, config.seed) == (
        0,
        2,
        3,
        4,
    )


def test_the_number_of_epochs_takes_the_place_of_a_presets_steps() -> None:
    training = configured("os-train sft d -m m --preset quick --epochs 3").training
    assert (training.epochs, training.max_steps) == (3.0, None)


def test_all_weights_are_trained_without_what_a_preset_or_a_record_says_of_an_adapter(home: Path) -> None:
    config = configured("os-train sft d -m m --preset quality --finetuning-type full")
    assert "lora" not in config.model_fields_set and config.training.warmup_ratio == 0.1
    record = RunDirectory.create(configured("os-train sft d.jsonl -m m --lora-rank 8")).config_path
    config = configured(f"os-train sft --config {record} --finetuning-type full")
    assert "lora" not in config.model_fields_set and config.learning_rate == 2e-5
    # What is given beside it is refused later.
    config = configured(f"os-train sft --config {record} --finetuning-type full --lora-rank 4")
    assert config.lora.model_fields_set == {"lora_rank"}


def test_of_a_record_only_what_was_given_is_kept_where_defaults_change(home: Path) -> None:
    line = "os-train grpo d.jsonl -m m --reward math"
    record = RunDirectory.create(configured(line)).config_path
    assert configured(f"os-train grpo --config {record} --num-generations 16").batch_size == 16
    record = RunDirectory.create(configured(f"{line} --lr 1e-3 --batch-size 16")).config_path
    config = configured(f"os-train grpo --config {record} --finetuning-type full")
    assert (config.learning_rate, config.batch_size) == (1e-3, 16)
    Path("config.json").write_text(record.read_text().replace("0.001", "5e-06"))  # no record, but a file
    assert configured("os-train grpo --config config.json --finetuning-type full").learning_rate == 5e-6


def test_a_file_for_training_does_for_preparing_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.yaml").write_text(
        "data: d.jsonl\nmodel: m\nmethod: dpo\nbeta: 0.5\ntraining: {lr: 1}\nsplit: x\n"
    )
    assert OS_DATA.default is not None
    given = parse_flags(OS_DATA.default.flags, ["--config", "run.yaml", "--split", "y"])
    config = OS_DATA.default.configure(given).config
    assert (config.data, config.method, config.split) == (("d.jsonl",), "dpo", "y")
    preview = OS_DATA.commands["preview"]
    settings = preview.configure(parse_flags(preview.flags, ["--config", "run.yaml", "--rows", "9"]))
    assert (settings.method, settings.rows) == ("dpo", 9)


def test_a_run_that_is_resumed_by_name_keeps_its_settings_whatever_the_environment_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory.create(configured("os-train sft d.jsonl -m m --epochs 5"))
    monkeypatch.setenv("OPENSLOTH_SET_EPOCHS", "9")
    monkeypatch.setenv("OPENSLOTH_SET_MAX_STEPS", "9")
    training = configured(f"os-train sft --resume {run.path.name}").training
    assert (training.epochs, training.max_steps) == (5.0, None)


FILE = "data: d.jsonl\nmodel: m\n"
MISTAKES: dict[tuple[str, str], str] = {
    ("os-train dpo", FILE + "method: sft\n"): (
        "os-train dpo: run.yaml:3: method sft contradicts the command, which is for dpo; change one of them "
    ),
    ("os-train sft", FILE + "learning_rat: 1\n"): (
        "os-train sft: run.yaml:3: learning_rat: no such setting; did you mean learning_rate? (os-train sft"
    ),
    ("os-train sft", FILE + "epochs: 0\n"): (
        "os-train sft: epochs (run.yaml:3): must be greater than 0, got 0 (os-train sft --help)"
    ),
    ("os-train sft", FILE + "lr: fast\n"): "learning_rate (run.yaml:3): must be a number, got 'fast'",
    ("os-train sft --lr x", FILE + "lr: fast\n"): "os-train sft: --learning-rate: must be a number, got 'x'",
    ("os-train sft", "model: m\n"): "os-train sft: DATA: required (os-train sft --help)",
    ("os-train sft", FILE + "samples_from: head\n"): (
        "samples_from (run.yaml:3) head: has no effect without samples; give both"
    ),
    ("os-train sft", FILE + "beta: 0.5\n"): "beta (run.yaml:3): has no meaning for method sft; drop it",
    ("os-data --overlong split", FILE + "method: grpo\n"): "--overlong split: has no meaning for method grpo",
    ("os-data", "- a\n"): "os-data: run.yaml: must map names to values, as in epochs: 3; found a list",
}


@pytest.mark.parametrize(("line", "text"), MISTAKES, ids=lambda part: repr(part)[-30:])
def test_a_mistake_is_one_line_with_the_place_where_it_stands(
    line: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("run.yaml").write_text(text)
    program, *words = shlex.split(f"{line} --config run.yaml")
    assert main({"os-train": OS_TRAIN, "os-data": OS_DATA}[program], words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert MISTAKES[line, text] in err


def test_what_does_not_fit_the_rest_is_refused_with_the_place_where_it_stands(
    here: Path,
    home: Path,
    chat_data: Path,
    tiny_model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("run.yaml").write_text(f"data: {chat_data}\nmodel: {tiny_model_dir}\neval_steps: 3\n")
    refused = "eval_steps (run.yaml:3) 3: no rows are held out to evaluate on; give --eval-size, such as 5%"
    for words in (["sft"], ["plan", "sft"], ["cache", "explain", "sft"]):
        assert main(OS_TRAIN, [*words, "--config", "run.yaml"]) == 2
        assert refused in " ".join("".join(capsys.readouterr()).split()), words
    assert main(OS_TRAIN, ["sft", "--config", "run.yaml", "--eval-steps", "4"]) == 2
    assert capsys.readouterr().err.startswith("os-train: --eval-steps 4: no rows")
    monkeypatch.setenv("OPENSLOTH_SET_DATA_OUTPUT", str(here))
    assert main(OS_DATA, ["--config", "run.yaml"]) == 2
    assert capsys.readouterr().err.startswith(f"os-data: data_output (OPENSLOTH_SET_DATA_OUTPUT) {here}: ")


def test_variables_that_are_wrong_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value, message in (
        (
            "OPENSLOTH_SET_EPOCH",
            "3",
            "OPENSLOTH_SET_EPOCH: no such setting; did you mean OPENSLOTH_SET_EPOCHS?",
        ),
        ("OPENSLOTH_SET_METHOD", "dpo", "OPENSLOTH_SET_METHOD: method dpo contradicts the command"),
        ("OPENSLOTH_SET_EPOCHS", "0", "epochs (OPENSLOTH_SET_EPOCHS): must be greater than 0, got '0'"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert main(OS_TRAIN, ["sft", "d", "-m", "m"]) == 2
        assert message in capsys.readouterr().err


def test_the_help_of_the_preset_flag_names_them_all() -> None:
    described = SourceSettings.model_fields["preset"].description or ""
    assert all(name in described for name in PRESETS)


def test_a_preset_is_copied_to_a_file_that_says_the_same(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in PRESETS:
        assert main(OS_TRAIN, ["presets", "copy", name, f"{name}.yaml"]) == 0
        assert main(OS_TRAIN, ["presets", "show", name]) == 0
    # What only one method has is left to the reader.
    for name in ("quick", "full"):
        by_file = configured(f"os-train sft d -m m --config {name}.yaml")
        assert by_file == configured(f"os-train sft d -m m --preset {name}")
    assert main(OS_TRAIN, ["presets", "copy", "quick", "quick.yaml"]) == 2
    assert "quick.yaml: exists; give the name of a new file" in capsys.readouterr().err
    assert main(OS_TRAIN, ["presets", "copy", "quick", "no/such/folder.yaml"]) == 2
    assert main(OS_TRAIN, ["presets", "copy", "quick", "quick.toml"]) == 2


def test_presets_are_listed_with_and_without_ls(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    for words in (["presets"], ["presets", "ls"]):
        assert main(OS_TRAIN, words) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert all(f"{name} " in shown[0] for name in PRESETS)
