"""Training without OpenSloth: Unsloth and TRL's SFTTrainer as their users write it.

Two ways: `text`, with TRL's own packing of the same conversations, and `packs`, the bare trainer on the packs
that OpenSloth prepared with its attention over them, which shows what our loop costs.
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import report, run_module

WARM_UP = 10
"""Steps that are not counted: kernels are compiled and memory is found in them."""


def measure_plain(data: Path, model_dir: Path, packs: Path | None, asked: dict[str, Any]) -> dict[str, Any]:
    """What one process reports: tokens_per_second, step_seconds, memory_bytes, loss.

    Args:
        packs: an Arrow file of packs to train on; TRL packs the texts of `data` when not given.
        asked: batch_size, max_seq_length, steps.
    """
    arguments = {**asked, "data": str(data), "model_dir": str(model_dir), "packs": packs and str(packs)}
    return run_module("plain_training", arguments, {"HF_HUB_OFFLINE": "1"}).report


def _train(asked: dict[str, Any]) -> None:
    import torch
    import unsloth  # noqa: F401  # first
    from datasets import Dataset, load_dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer
    from unsloth import FastLanguageModel

    from opensloth_core.training.varlen_attention import use_varlen_attention

    on_gpu = torch.cuda.is_available()
    if asked["packs"] and on_gpu:
        use_varlen_attention()
    model, tokenizer = FastLanguageModel.from_pretrained(
        asked["model_dir"], max_seq_length=asked["max_seq_length"], load_in_4bit=False
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=16,
        lora_alpha=32,
        lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        use_gradient_checkpointing="unsloth" if on_gpu else False,
        random_state=42,
    )
    if asked["packs"]:
        dataset = Dataset.from_file(asked["packs"])
        dataset._unsloth_truncated_to = asked["max_seq_length"]
        extra = {"packing": False, "padding_free": True, "dataset_kwargs": {"skip_prepare_dataset": True}}
    else:
        dataset = load_dataset("json", data_files=asked["data"], split="train").map(
            lambda row: {"text": tokenizer.apply_chat_template(row["messages"], tokenize=False)},
            remove_columns=["messages"],
        )
        extra = {"packing": True, "max_length": asked["max_seq_length"], "dataset_text_field": "text"}

    ended: list[float] = []
    tokens: list[int] = []

    class Clock(TrainerCallback):
        """Notes when each step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if on_gpu:
                torch.cuda.synchronize()
            ended.append(time.perf_counter())

    class Counted(SFTTrainer):
        """Counts the tokens of a micro-batch."""

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            mask = inputs.get("attention_mask")
            tokens.append(inputs["input_ids"].numel() if mask is None else int(mask.sum()))
            return super().training_step(model, inputs, *args, **kwargs)

    trainer = Counted(
        model=model,
        processing_class=tokenizer,
        train_dataset=dataset,
        callbacks=[Clock()],
        args=SFTConfig(
            output_dir="/tmp/opensloth-benchmark-plain",
            per_device_train_batch_size=asked["batch_size"],
            gradient_accumulation_steps=1,
            max_steps=asked["steps"],
            learning_rate=2e-4,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=on_gpu,
            use_cpu=not on_gpu,
            **extra,
        ),
    )
    trainer.train()
    first = min(WARM_UP, asked["steps"] // 2)
    seconds = ended[-1] - ended[first - 1]
    steps = [b - a for a, b in zip(ended[first - 1 :], ended[first:], strict=False)]
    report(
        tokens_per_second=sum(tokens[first:]) / seconds,
        step_seconds=statistics.median(steps),
        memory_bytes=torch.cuda.max_memory_allocated() if on_gpu else 0,
        loss=trainer.state.log_history[-2]["loss"],
    )


if __name__ == "__main__":
    _train(json.loads(sys.argv[1]))
