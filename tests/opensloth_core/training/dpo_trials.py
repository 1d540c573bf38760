"""Builds DPO trainers as a rank does, several in one process, and notes what they compute.

`python -m tests.opensloth_core.training.dpo_trials FOLDER`, where FOLDER/trials.json says by name what to
try (`Trial` is its shape); each leaves FOLDER/<name>.json.
"""

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

import unsloth  # noqa: F401  # before transformers, trl and peft

# isort: split
import torch

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.store.prepared import open_prepared
from opensloth_core.training.dpo import REFERENCE_ADAPTER, dpo_trainer
from opensloth_core.training.job import RankJob
from opensloth_core.training.model import load_model
from opensloth_core.training.save import save_result


class Trial(TypedDict):
    config: dict[str, Any]
    """Configuration of the run."""

    prepared_key: str
    """Key of its data."""

    adapter_dir: str | None
    """The adapter that training goes on with, if any."""


def main(folder: Path) -> None:
    store = torch.distributed.FileStore(str(folder / "rendezvous"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    for name, trial in json.loads((folder / "trials.json").read_text()).items():
        found = run_trial(trial)
        (folder / f"{name}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def run_trial(trial: Trial) -> dict[str, Any]:
    config = OpenSlothConfig.of(trial["config"]).resolved()
    launch = Launch(config.model, ("cpu",), trial["prepared_key"], adapter_dir=trial["adapter_dir"])
    model, tokenizer = load_model(config, launch, "cpu")
    run, manifest = RunDirectory.create(config), open_prepared(trial["prepared_key"])
    run.write_launch(launch)
    job = RankJob(run, config, 0, 1, "cpu", manifest, config.batch_plan(1))
    trainer = dpo_trainer(job, model, tokenizer, [])
    trainable = [key for key, weight in model.named_parameters() if weight.requires_grad]
    frozen = {key: weight.clone() for key, weight in model.named_parameters() if not weight.requires_grad}
    reference = dict(trainer.ref_model.named_parameters()) if trainer.ref_model is not None else {}
    reference_before = {key: weight.clone() for key, weight in reference.items()}
    fixed_pairs = job.dataset().select(range(4))
    fixed = trainer.collate(list(fixed_pairs))
    before, probed = loss_of(trainer, fixed), trainer.probe_loss(trainer.model, fixed)
    probed.backward()
    model.zero_grad()
    trainer.restore_extra_state({"num_tokens": 0})
    trainer.train()
    remembered = trainer.extra_state()
    still_trainable = [key for key, weight in model.named_parameters() if weight.requires_grad]
    return {
        "result_dir": str(save_result(trainer.model, job)),
        "fixed_pairs": fixed_pairs.to_list(),
        "loss_before": before,
        "probed_loss": float(probed),
        "loss_after": loss_of(trainer, fixed),
        "log": [entry for entry in trainer.state.log_history if "loss" in entry],
        "remembered": remembered,
        "trainable": trainable,
        "still_trainable": still_trainable,
        "moved": [key for key, was in frozen.items() if not torch.equal(model.get_parameter(key), was)],
        "reference_moved": [k for k, was in reference_before.items() if not torch.equal(reference[k], was)],
        "has_reference_adapter": any(f".{REFERENCE_ADAPTER}." in key for key in frozen),
        "padded_logps": reference_logps(trainer, fixed_pairs),
        "lone_logps": [reference_logps(trainer, fixed_pairs.select([row])) for row in range(4)],
    }


def loss_of(trainer: Any, batch: dict[str, torch.Tensor]) -> float:
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model, batch))


def reference_logps(trainer: Any, pairs: Any) -> list[list[float]]:
    """Log-probabilities under the reference of all chosen and all rejected answers, in one batch."""
    model = trainer.ref_model or trainer.model
    logps = trainer.compute_ref_log_probs(model, trainer.collate(list(pairs)))
    return [half.tolist() for half in logps]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
