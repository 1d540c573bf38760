"""LLaMA-Factory's and Axolotl's own preprocessing commands, each in the environment of its tool.

Both get the same rows, tokenizer and length, packing, masks on all but the assistant's turns, and one
worker process a core; a second run has one worker, should that be faster. Nothing is cached between
runs: Hugging Face's caches and the output lie in a new folder each time. The work is what the log shows
between "loading the data set" and "saved".
"""

import json
from pathlib import Path

from tests.benchmarks.measure import Measured, run

_OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}
_SYSTEM_PROMPT = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What SmolLM2's template puts first; LLaMA-Factory renders with templates of its own."""


def measure_llamafactory(
    python: Path, data: Path, model_dir: Path, scratch: Path, cores: int
) -> dict[str, Measured]:
    """`llamafactory-cli train` with `tokenized_path`; the clock stops when the data is saved."""
    return {
        f"{workers} workers": _llamafactory(
            python, data, model_dir, scratch / f"llamafactory-{workers}", workers
        )
        for workers in (cores, 1)
    }


def _llamafactory(python: Path, data: Path, model_dir: Path, folder: Path, workers: int) -> Measured:
    folder.mkdir()
    data_set = {
        "file_name": str(data.absolute()),
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
    (folder / "dataset_info.json").write_text(json.dumps({"rows": data_set}))
    config = {
        "model_name_or_path": str(model_dir),
        "stage": "sft",
        "do_train": False,
        "finetuning_type": "lora",
        "dataset": "rows",
        "dataset_dir": str(folder),
        "template": "smollm2",
        "default_system": _SYSTEM_PROMPT,
        "cutoff_len": 2048,
        "packing": True,
        "neat_packing": True,
        "preprocessing_num_workers": workers,
        "overwrite_cache": True,
        "tokenized_path": str(folder / "tokenized"),
        "output_dir": str(folder / "out"),
        "report_to": "none",
        "use_cpu": True,
    }
    # JSON is YAML.
    (folder / "config.yaml").write_text(json.dumps(config))
    llamafactory = python.parent / "llamafactory-cli"
    done = run(
        [llamafactory, "train", folder / "config.yaml"],
        {**_OFFLINE, "HF_HOME": str(folder / "cache")},
        cwd=folder,
    )
    saved = done.second_of("Tokenized dataset is saved at")
    return done.measured(saved - done.second_of("Loading dataset"), "packed 1000 rows at a time", saved)


def measure_axolotl(
    python: Path, data: Path, model_dir: Path, scratch: Path, cores: int
) -> dict[str, Measured]:
    """`axolotl preprocess` with `sample_packing`, which leaves the packing itself to training."""
    return {
        f"{workers} workers": _axolotl(python, data, model_dir, scratch / f"axolotl-{workers}", workers)
        for workers in (cores, 1)
    }


def _axolotl(python: Path, data: Path, model_dir: Path, folder: Path, workers: int) -> Measured:
    folder.mkdir()
    config = {
        "base_model": str(model_dir),
        "datasets": [
            {
                "path": str(data.absolute()),
                "type": "chat_template",
                "field_messages": "messages",
                "message_property_mappings": {"role": "role", "content": "content"},
                "roles_to_train": ["assistant"],
                "train_on_eos": "turn",
            }
        ],
        "chat_template": "tokenizer_default",
        "sequence_len": 2048,
        "sample_packing": True,
        "dataset_num_proc": workers,
        "dataset_prepared_path": str(folder / "prepared"),
        "output_dir": str(folder / "out"),
        "val_set_size": 0,
        "adapter": "lora",
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_target_linear": True,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "num_epochs": 1,
        "learning_rate": 2e-4,
        "optimizer": "adamw_torch",
        "bf16": False,
        "fp16": False,
        "tf32": False,
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    axolotl = python.parent / "axolotl"
    command: list[str | Path] = [axolotl, "preprocess", folder / "config.yaml", "--no-download"]
    done = run(command, {**_OFFLINE, "HF_HOME": str(folder / "cache")}, cwd=folder)
    began, saved = done.second_of("Loading raw datasets"), done.second_of("Success! Preprocessed data path")
    tokenized = done.second_of("max_input_len")
    return done.measured(saved - began, f"not packed yet; all tokenized after {tokenized - began:.1f} s")
