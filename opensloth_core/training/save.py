"""The result of a run as PEFT and transformers load it: whole under its name, or not there."""

import shutil
from pathlib import Path
from typing import Any

from opensloth_core.errors import StoreError
from opensloth_core.store.durable import publish_folder
from opensloth_core.training.job import RankJob
from opensloth_core.training.result_adapter import save_adapter
from opensloth_core.training.result_model import save_model
from opensloth_core.training.result_tokenizer import save_tokenizer


def save_result(model: Any, job: RankJob) -> Path:
    """Save an adapter or a whole model with its tokenizer; by one rank of a run. Gives the folder.

    What an interrupted attempt left of it is replaced.

    Raises:
        StoreError: the disk is full or cannot be written; nothing is under the result's name then.
    """
    from safetensors import SafetensorError

    target, launch = job.run.adapter_dir, job.run.launch()
    staging = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        save_tokenizer(job, staging)
        if job.config.finetuning_type == "full":
            save_model(model, staging, job.config, launch)
        else:
            save_adapter(model, staging, launch)
        publish_folder(staging, target, replace=True)
    except (OSError, SafetensorError) as err:
        shutil.rmtree(staging, ignore_errors=True)
        raise StoreError(
            f"{target}: cannot save the result: {getattr(err, 'strerror', None) or err}; make room and "
            "resume the run, which goes on from its last checkpoint"
        ) from err
    return target
