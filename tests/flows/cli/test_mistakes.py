"""What a user types wrongly is one line that says what was meant."""

import pickle
from dataclasses import replace
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from flows.cli.parser import UsageError
from opensloth_core.errors import StoreError
from tests.flows.cli.typed import typed

D = "os-train sft d.jsonl -m m"
MISTAKES = {
    "os-train kto d.jsonl": "os-train: unknown command 'kto'; commands: sft, dpo, grpo, repro, chat, export,",
    "os-train stf d.jsonl": "os-train: unknown command 'stf'; did you mean sft? (os-train --help)",
    "os-train deom": "os-train: unknown command 'deom'; did you mean demo? (os-train --help)",
    "os-train resume": "os-train: unknown command 'resume'; did you mean runs resume? (os-train --help)",
    "os-train logz last": "os-train: unknown command 'logz'; did you mean runs logs? (os-train --help)",
    "os-train show": "did you mean runs show, models show, presets show, cache show? (os-train --help)",
    "os-train list": "did you mean runs ls, models ls, presets ls, cache ls? (os-train --help)",
    "os-train dpo d.jsonl -m m --kl-beta 1": "os-train dpo: unknown flag --kl-beta; it is a flag of grpo (",
    "os-train sft d.jsonl -m m --beta 1": "os-train sft: unknown flag --beta; it is a flag of dpo (",
    "os-train sft d.jsonl -m m --reward math": "unknown flag --reward; it is a flag of grpo (",
    "os-train grpo d.jsonl -m m --reward math=x": "os-train grpo: --reward",
    "os-train sft d.jsonl -m m -b auto --gradient-accumulation-steps 2": (
        '--gradient-accumulation-steps 2: --batch-size "auto" decides it; give --global-batch-size'
    ),
    "os-train --gpus 2 sft d.jsonl": "flag --gpus stands before the command",
    "os-train sft": "os-train sft: DATA: required; --model: required (os-train sft --help)",
    "os-data --gpus 2": "os-data: DATA: required; --model: required (os-data --help)",
    "os-data preveiw d.jsonl": "os-data: unknown command 'preveiw'; did you mean preview? (os-data --help)",
    "os-data d.jsonl -m m --epochs 3": "os-data: unknown flag --epochs (os-data --help)",
    "os-data d.jsonl -m m --method kto": "--method: must be 'sft', 'dpo' or 'grpo', got 'kto'",
    "os-data d.jsonl -m m --method grpo --overlong split": (
        "os-data: --overlong split: has no meaning for method grpo; possible: drop, error"
    ),
    "os-data preview d.jsonl -m m --rows 0": "os-data preview: --rows: must be greater than 0, got '0'",
    "os-data preview d.jsonl -m m --data-output x": "os-data preview: unknown flag --data-output",
    "os-data inspect": "os-data inspect: KEY|PATH: required (os-data inspect --help)",
    "os-data inspect a b": "os-data inspect: unexpected argument 'b' (os-data inspect --help)",
    "os-train demo d.jsonl": "os-train demo: unexpected argument 'd.jsonl' (os-train demo --help)",
    "os-train sft --epoch 3 d.jsonl": "os-train sft: unknown flag --epoch; did you mean --epochs?",
    f"{D} --max_seq_length 3": "unknown flag --max_seq_length; did you mean --max-seq-length?",
    f"{D} --ep 3": "unknown flag --ep (os-train sft --help)",
    f"{D} --bogus=1": "unknown flag --bogus (os-train sft --help)",
    f"{D} -x 1": "unknown flag -x (os-train sft --help)",
    f"{D} --method sft": "unknown flag --method",
    f"{D} --lr": "os-train sft: --lr needs a value",
    f"{D} --lr --epochs 3": "os-train sft: --lr needs a value",
    f"{D} --gradient-checkpointing=1": "--gradient-checkpointing takes no value",
    f"{D} --epochs 1 --epochs 1": "os-train sft: --epochs is given twice; give one",
    f"{D} --lr 1e-4 --learning-rate=1e-4": "--lr and --learning-rate are one setting; give one",
    f"{D} --config a.yaml --config b.yaml": "--config is given twice; give one",
    f"{D} -m other": "-m is given twice; give one",
    f"{D} --verify --no-verify": "--verify and --no-verify are one setting; give one",
    f"{D} --allow-drift": "--allow-drift: has a meaning with --resume only",
    f"{D} --dry-run --detach": "--detach: has a meaning with --remote only",
    f"{D} --input other.jsonl": "DATA is given both with and without a flag",
    f"{D} --tmux train": "--tmux train: a name follows an equals sign: --tmux=train",
    f"{D} --quiet --verbose": "--quiet and --verbose: give one of the two",
    f"{D} --attach": "--attach: has a meaning with --tmux only",
    f"{D} --tmux --remote": "--tmux: with --remote a worker runs it, in no terminal",
    f"{D} --remote -q": "--quiet: says how a run of this machine is shown; drop it, or --remote",
    f"{D} --map messages": "--map: must be NAME=COLUMN, such as messages=dialogue, got ['messages']",
    f"{D} --map a=b --map a=c": "--map: names one thing twice",
    f"{D} --eval-size 1.5": "--eval-size: must be a share such as 0.05 or a number of rows such as 500",
    f"{D} --samples-from head": "--samples-from head: has no effect without samples; give both",
    f"{D} ''": "DATA: must not be empty, got ''",
    f"{D} --gpus 0": "os-train sft: --gpus: at least 1 GPU is needed, got '0' (os-train sft --help)",
    f"{D} --gpus -1": "--gpus: at least 1 GPU is needed, got '-1'",
    f"{D} --gpus two": "--gpus: give a number of GPUs (2), device ids (0,3) or \"auto\", got 'two'",
    f"{D} --gpus 0,0": "--gpus: each device id may be named once, got '0,0'",
    f"{D} --lr fast": "--learning-rate: must be a number, got 'fast'",
    f"{D} --lr inf": "--learning-rate: must be finite, got 'inf'",
    f"{D} --batch-size 2.5": "os-train sft: --batch-size: must be 'auto' or a whole number, got '2.5' (",
    f"{D} --dtype float16": "--dtype: must be 'auto', 'bfloat16' or 'float32', got 'float16'",
    f"{D} --max-rejected 300%": "--max-rejected: must be less than or equal to 1, got '300%'",
    f"{D} --max-rejected x%": "--max-rejected: must be a share such as 0.01 or 1%, got 'x%'",
    f"{D} --target-modules ,": "--target-modules:",
    f"{D} -b 4 --gradient-accumulation-steps 3 --global-batch-size 10": (
        "os-train sft: --global-batch-size 10 is not a multiple of --batch-size 4 x "
        "--gradient-accumulation-steps 3; give one of the two"
    ),
    f"{D} --epochs 0 --lr x": "must be greater than 0, got '0'; --learning-rate: must be a number, got 'x'",
    f"{D} --epochs 3 --max-steps 9": "os-train sft: --max-steps is instead of --epochs; give one of the two",
    f"{D} --preset qick": (
        "os-train sft: --preset: must be 'quick', 'quality', 'memory-saver', 'long-context', 'full', "
        "'reasoning' or 'auto', got 'qick'; did you mean quick? ("
    ),
    f"{D} --overlong dorp": "'drop', 'truncate', 'split' or 'error', got 'dorp'; did you mean drop? (",
    "os-train export last --to mergd": "'merged', 'gguf' or 'hub', got 'mergd'; did you mean merged? (",
    f"{D} --preset reasoning": "os-train sft: preset reasoning: is for grpo, not for sft",
    f"{D} --config missing.yaml": "os-train sft: missing.yaml: no such file (os-train sft --help)",
    "os-train sft --resume r --config r.yaml": "--config: the run r goes on with its own settings; drop",
    "os-train presets shwo": "os-train presets: unknown command 'shwo'; did you mean show?",
    "os-train presets copy quick": "os-train presets copy: FILE: required (os-train presets copy --help)",
    "os-train presets copy quick a.yaml b": "os-train presets copy: unexpected argument 'b'",
    "os-train completion": "os-train completion: bash|zsh|fish: required",
    "os-train schema kto": "os-train schema: sft|dpo|grpo: must be 'sft', 'dpo' or 'grpo', got 'kto'",
    "os-train demo --gpus 3": "os-train demo: --gpus: must be less than or equal to 2, got '3'",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_on_stderr_and_exit_2(line: str, started: list[Any], capsys) -> None:
    assert typed(line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), started) == ("", 1, [])
    assert MISTAKES[line] in err
    assert err.startswith("os-") and "training." not in err


def test_usage_errors_survive_pickling() -> None:
    assert str(pickle.loads(pickle.dumps(UsageError("unknown flag --x")))) == "unknown flag --x"


def test_a_home_that_cannot_be_read_while_a_command_is_read_is_one_line(capsys) -> None:
    def unreadable(_: Any) -> Any:
        raise StoreError("/home/runs: cannot be read: Permission denied")

    sft = replace(OS_TRAIN.commands["sft"], configure=unreadable)
    program = replace(OS_TRAIN, commands={**OS_TRAIN.commands, "sft": sft})
    assert main(program, ["sft", "data.jsonl", "--resume", "auto"]) == StoreError.exit_code
    assert capsys.readouterr().err == "os-train sft: /home/runs: cannot be read: Permission denied\n"
