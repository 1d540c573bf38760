"""Real runs that go wrong: poisoned weights, a learning rate beyond reason, memory that is taken away."""

import json
import re
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from opensloth_core import run_training
from opensloth_core.errors import TrainingError
from opensloth_core.models.tiny import write_tiny_model
from opensloth_core.runs.events import read_events

BAD_LINES = {12, 24}
SETTINGS = {
    "max_seq_length": 192,
    "global_batch_size": 4,
    "dtype": "float32",
    "lora_rank": 4,
    "eval_generations": 0,
}
REWARD = "def reward(completions): return [float(number) for number in range(len(completions))]"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """40 questions; those on two lines hold a Z."""
    path = tmp_path / "colours.jsonl"
    rows = [
        {
            "question": f"Which colours has flag {line}{'Z' if line in BAD_LINES else ''}?",
            "answer": "It has " + "red " * (1 + line * 7 % 11),
        }
        for line in range(1, 41)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def poisoned_model(tmp_path: Path) -> Path:
    """The tiny model with a damaged embedding of the letter Z."""
    from safetensors.numpy import load_file, save_file
    from tokenizers import Tokenizer

    folder = write_tiny_model(tmp_path / "poisoned")
    weights = load_file(folder / "model.safetensors")
    letter = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("Z")
    weights["model.embed_tokens.weight"][letter] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def run_of(home: Path) -> Path:
    (run_dir,) = (home / "runs").iterdir()
    return run_dir


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_exactly_the_rows_that_give_nan_are_named_on_two_ranks_and_the_last_checkpoint_is_good(
    poisoned_model: Path, data: Path, home: Path, two_cores: None, warm_ranks: None
) -> None:
    settings: dict[str, Any] = {**SETTINGS, "data": str(data), "model": str(poisoned_model)}
    settings |= {"gpus": 2, "batch_size": 2, "save_steps": 1, "seed": 1, "max_steps": 20}
    with pytest.raises(TrainingError) as caught:
        run_training(settings)
    message = str(caught.value)
    assert "\n" not in message
    found = re.match(r"the loss became nan at step (\d+) in micro-batch 1 of rank ", message)
    assert found, message
    step = int(found[1])
    named = {int(line) for line in re.findall(r'colours\.jsonl:(\d+) "', message)}
    assert named and named <= BAD_LINES
    assert (
        f'colours.jsonl:{min(named)} "<|im_start|>user Which colours has flag {min(named)}Z?<|im_end|>'
        in message
    )
    run_dir = run_of(home)
    events = read_events(run_dir / "events.jsonl")
    assert [event["step"] for event in events if event["kind"] == "step"] == sorted(2 * list(range(1, step)))
    checkpoints = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    if step > 1:
        assert message.endswith(f"The last good weights are in {run_dir / 'checkpoints' / checkpoints[-1]}")
        assert int(checkpoints[-1].removeprefix("step-")) == step - 1
    assert not (run_dir / "adapter").exists()
    assert [event["state"] for event in events if event["kind"] == "state"][-1] == "failed"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["sft", "grpo"])
def test_weights_that_exploded_are_told_from_bad_rows_and_never_saved(
    tiny_model_dir: Path, data: Path, home: Path, warm_ranks: None, method: str
) -> None:
    settings: dict[str, Any] = {**SETTINGS, "data": str(data), "model": str(tiny_model_dir)}
    settings |= {"gpus": 1, "batch_size": 2, "learning_rate": 1e30, "max_steps": 6}
    if method == "grpo":
        (home / "rewards").mkdir(parents=True)
        (home / "rewards" / "made_up.py").write_text(REWARD)
        settings |= {"method": method, "reward": "made_up:reward", "num_generations": 2}
        settings |= {"max_completion_length": 4}
    with pytest.raises(TrainingError) as caught:
        run_training(settings)
    assert re.fullmatch(
        r"the loss became nan at step 2 through every one of its \d+ rows, so the weights are at fault and "
        r"not the data: lower --lr \(now 1e\+30\) or raise --warmup-ratio\. Nothing was saved",
        str(caught.value),
    )
    assert not (run_of(home) / "adapter").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_rank_that_runs_out_of_memory_says_what_would_fit(
    tiny_model_dir: Path, data: Path, home: Path
) -> None:
    settings: dict[str, Any] = {**SETTINGS, "data": str(data), "model": str(tiny_model_dir)}
    settings |= {"gpus": 1, "batch_size": 16, "global_batch_size": 16, "max_steps": 5_000}
    taker = threading.Thread(target=take_memory_away, args=(home,))
    taker.start()
    with pytest.raises(TrainingError) as caught:
        run_training(settings)
    taker.join()
    message = str(caught.value)
    assert re.match(r"out of memory in the (forward|backward) pass on rank 0 at step \d+: ", message), message
    assert (
        "(the address space that ulimit -v allows). It ran sft lora in float32 on micro-batches of 16 packs"
        in message
    )
    assert "\n" not in message


def take_memory_away(home: Path) -> None:
    """Allow the rank of the only run no more address space than it has, once it has done two steps."""
    while True:
        time.sleep(0.05)
        for run_dir in (home / "runs").glob("*"):
            events = read_events(run_dir / "events.jsonl")
            if sum(event["kind"] == "step" for event in events) >= 2:
                log = (run_dir / "logs" / "rank-0.log").read_text()
                pid = int(re.findall(r", process (\d+)", log)[0])
                status = Path(f"/proc/{pid}/status").read_text()
                size = int(status.split("VmSize:")[1].split()[0]) * 1024
                resource.prlimit(pid, resource.RLIMIT_AS, (size, size))
                return
