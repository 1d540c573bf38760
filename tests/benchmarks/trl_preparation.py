"""TRL's own preparation: `SFTTrainer._prepare_dataset` with packing, in a process without OpenSloth.

The trainer is built around a tiny random model and four rows; then the whole data set is prepared and
that call alone is timed. Reading the file (`load_dataset`) is not in it. SmolLM2's template has no
`{% generation %}` tags and TRL has no training variant of it, so `assistant_only_loss` is False and
every token is trained, which is less work than finding the assistant's; beside it stands a run with
True and the template's training variant below, which does what OpenSloth does.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Measured, report, run_module

_TURN = "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
_MARKED_TURN = (
    "{% if message['role'] == 'assistant' %}{{'<|im_start|>assistant\n'}}"
    "{% generation %}{{message['content'] + '<|im_end|>'}}{% endgeneration %}{{'\n'}}"
    "{% else %}" + _TURN + "{% endif %}"
)


def measure_trl(data: Path, model_dir: Path, scratch: Path, cores: int) -> dict[str, Measured]:
    """Every worker setting, with and without the assistant's mask."""
    measured: dict[str, Measured] = {}
    for assistant_only in (False, True):
        for num_proc in (None, cores):
            name = f"num_proc {num_proc}, assistant_only_loss {assistant_only}"
            folder = scratch / f"trl-{len(measured)}"
            folder.mkdir()
            asked = {
                "data": str(data),
                "model_dir": str(model_dir),
                "output_dir": str(folder / "out"),
                "assistant_only": assistant_only,
                "num_proc": num_proc,
            }
            env = {"HF_DATASETS_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
            done = run_module("trl_preparation", asked, env)
            told = done.report
            note = f"{told['packs']} packs; load_dataset took {told['load_seconds']:.1f} s more"
            measured[name] = done.measured(told["seconds"], note)
    return measured


def _prepare(asked: dict[str, Any]) -> None:
    from datasets import load_dataset
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    assert "unsloth" not in sys.modules, "unsloth patches TRL"
    tokenizer = AutoTokenizer.from_pretrained(asked["model_dir"])
    if asked["assistant_only"]:
        assert _TURN in tokenizer.chat_template
        tokenizer.chat_template = tokenizer.chat_template.replace(_TURN, _MARKED_TURN)
    began = time.perf_counter()
    dataset = load_dataset("json", data_files=asked["data"], split="train")
    load_seconds = time.perf_counter() - began
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )
    args = SFTConfig(
        output_dir=asked["output_dir"],
        max_length=2048,
        packing=True,
        packing_strategy="bfd",
        assistant_only_loss=asked["assistant_only"],
        dataset_num_proc=asked["num_proc"],
        use_cpu=True,
        bf16=False,
        report_to="none",
    )
    trainer = SFTTrainer(model, args, train_dataset=dataset.select(range(4)), processing_class=tokenizer)
    began = time.perf_counter()
    packed = trainer._prepare_dataset(dataset, trainer.processing_class, trainer.args, True, None, "train")
    report(seconds=time.perf_counter() - began, load_seconds=load_seconds, packs=len(packed))


if __name__ == "__main__":
    _prepare(json.loads(sys.argv[1]))
