"""Settings from files: three formats, grouped or flat, and what is said of files that are wrong."""

import json
import os
from pathlib import Path

import pytest

from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.files import MAX_BYTES, file_layer
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import RunDirectory

YAML = """\
data: [a.jsonl, b.jsonl]
model: m
gpus: 0,3
lr: 1e-4
training: {epochs: 3}
lora:
  r: 8
map: {messages: talk}
max_rejected: 5%
"""
TOML = """\
data = ["a.jsonl", "b.jsonl"]
model = "m"
gpus = "0,3"
lr = 1e-4
map = { messages = "talk" }
max_rejected = "5%"
[training]
epochs = 3
[lora]
r = 8
"""
JSON = json.dumps(
    {
        "data": ["a.jsonl", "b.jsonl"],
        "model": "m",
        "gpus": [0, 3],
        "lr": 1e-4,
        "training": {"epochs": 3},
        "lora": {"r": 8},
        "map": {"messages": "talk"},
        "max_rejected": "5%",
    }
)


def built(path: Path, **flags: object) -> OpenSlothConfig:
    return TrainingConfigBuilder().with_file(path).with_flags(flags).build()


@pytest.mark.parametrize(
    ("name", "text"), [("r.yaml", YAML), ("r.YML", YAML), ("r.toml", TOML), ("r.json", JSON)]
)
def test_the_three_formats_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    config = built(path)
    assert (config.data, config.model, config.gpus) == (("a.jsonl", "b.jsonl"), "m", (0, 3))
    assert (config.training.learning_rate, config.training.epochs, config.lora.lora_rank) == (1e-4, 3.0, 8)
    assert (config.map, config.max_rejected) == ({"messages": "talk"}, 0.05)


def test_what_yaml_takes_for_text_is_a_number_all_the_same(tmp_path: Path) -> None:
    # YAML 1.1 wants a dot in a number with an exponent.
    path = tmp_path / "r.yaml"
    path.write_text("data: d\nmodel: m\nlearning_rate: 1e-4\nmax_grad_norm: 5E-1\n")
    training = built(path).training
    assert (training.learning_rate, training.max_grad_norm) == (1e-4, 0.5)


def test_a_file_may_begin_with_a_byte_order_mark_and_end_lines_as_windows_does(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfdata: d\r\nmodel: m\r\nseed: 7\r\n")
    assert built(path).seed == 7


def test_a_run_is_configured_by_the_record_of_another(home: Path) -> None:
    first = TrainingConfigBuilder().with_flags({"data": "d.jsonl", "model": "m", "epochs": 3, "r": 8}).build()
    run = RunDirectory.create(first)
    assert built(run.config_path).resolved() == run.config()
    assert built(run.config_path, epochs=5).training.epochs == 5.0


RUBBISH = {
    "r.yaml": {
        "": "r.yaml: is empty; give settings such as epochs: 3",
        "- 1\n- 2\n": "r.yaml: must map names to values, as in epochs: 3; found a list",
        "just words": "r.yaml: must map names to values, as in epochs: 3; found a str",
        "epochs: 1\nepoch: 3\n": "r.yaml:2: epoch: no such setting; did you mean epochs?",
        "training:\n  lr: 1\n  optimiser: x\n": (
            "r.yaml:3: training.optimiser: no such setting; did you mean optimizer?"
        ),
        "lora:\n  epochs: 1\n": "r.yaml:2: lora.epochs: no such setting; os-train schema lists all",
        "max-steps: 3": "r.yaml:1: max-steps: no such setting; did you mean max_steps?",
        "training: 3": "r.yaml:1: training: is a group of settings, got 3",
        "training:": "r.yaml:1: training: is a group of settings, got None",
        "lr: 1\ntraining: {learning_rate: 2}": (
            "r.yaml: lr and training.learning_rate are one setting, learning_rate; give one"
        ),
        "seed: 1\nseed: 2\n": "r.yaml:2: 'seed' is given twice",
        "a: [1, 2\nb: 3\n": "r.yaml:2: expected ',' or ']', but got ':'",
        "a: &x [1]\nb: *x\n": "r.yaml:2: aliases (*name) are not understood; write the value out",
        "a: !!python/object/apply:os.system ['touch owned']\n": "r.yaml:1: could not determine a constructor",
        "a: 1\n---\na: 2\n": "r.yaml:2: but found another document",
        "3: 4": "r.yaml: 3: names of settings are text",
        "split: 2024-13-45": "r.yaml: month must be in 1..12",
        "[" * 5000: "r.yaml: is nested too deeply",
        "\x00": "r.yaml: unacceptable character #x0000: special characters are not allowed",
    },
    "r.toml": {
        "epoch = 3": "r.toml:1: epoch: no such setting; did you mean epochs?",
        "[training]\nlr = 1\nepoch = 3": "r.toml:3: training.epoch: no such setting; did you mean epochs?",
        "seed = 1\nseed = 2\n": "r.toml:2: Cannot overwrite a value",
        "seed": "r.toml",
    },
    "r.json": {
        "": "r.json:1: Expecting value",
        "{\n": "r.json:2: Expecting property name enclosed in double quotes",
        "[1]": "r.json: must map names to values, as in epochs: 3; found a list",
        '{"seed": 1, "seed": 2}': "r.json: 'seed' is given twice",
        '{\n"epoch": 3}': "r.json:2: epoch: no such setting; did you mean epochs?",
        "[" * 100_000: "r.json: is nested too deeply",
        '{"seed": ' + "9" * 5000 + "}": "r.json: Exceeds the limit",
    },
}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [(name, text, message) for name, cases in RUBBISH.items() for text, message in cases.items()],
    ids=lambda case: repr(case)[:40],
)
def test_a_wrong_file_is_refused_in_one_line(
    name: str, text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    with pytest.raises(ConfigError) as refused:
        file_layer(Path(name))
    said = str(refused.value)
    assert said.startswith(message)
    assert "\n" not in said and len(said) < 300
    assert not Path("owned").exists()


def test_what_is_no_configuration_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/config.json").write_text("{}")
    Path("empty.yaml").mkdir()
    Path("r.ini").write_text("epochs = 3")
    Path("big.yaml").write_text("#" * (MAX_BYTES + 1))
    Path("latin.yaml").write_bytes(b"split: caf\xe9")
    os.mkfifo("pipe.yaml")
    Path("loop.yaml").symlink_to("loop.yaml")
    refused = {
        "missing.yaml": "missing.yaml: no such file",
        "run": "run: is a folder; give run/config.json",
        "empty.yaml": "empty.yaml: is a folder; give a file",
        "r.ini": "r.ini: must be named .yaml, .yml, .toml or .json",
        "big.yaml": "big.yaml: is larger than 1 MB, so it is no configuration",
        "latin.yaml": "latin.yaml: is no text in UTF-8 (byte 10)",
        "pipe.yaml": "pipe.yaml: is no regular file",
    }
    for name, message in refused.items():
        with pytest.raises(ConfigError) as error:
            file_layer(Path(name))
        assert str(error.value) == message
    with pytest.raises(ConfigError, match=r"loop.yaml: "):
        file_layer(Path("loop.yaml"))


def test_a_few_lines_that_stand_for_gigabytes_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "laughs.yaml"
    path.write_text("a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a,*a,*a]\n" for i in range(30)))
    with pytest.raises(ConfigError, match="aliases"):
        file_layer(path)


def test_a_wrong_value_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("data: d\nmodel: m\ntraining:\n  lr: fast\n")
    with pytest.raises(ConfigError) as error:
        built(path)
    assert str(error.value) == f"learning_rate ({path}:4): must be a number, got 'fast'"
