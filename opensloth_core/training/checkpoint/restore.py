"""What of a trainer goes into a checkpoint, and how it comes back.

    part        of           holds
    weights     rank 0       the parameters that are trained, by name
    optimizer   rank 0       its state; all ranks have the same
    trainer     rank 0       scheduler, gradient scaler, counters and the last logs
    rank-N      each rank    its random numbers, and `extra_state()` of the method

Weights that are not trained, such as those of a reference policy, are those of the model as given. Numbers
that the configuration sets (learning rate, weight decay, …) come from the configuration of the attempt that
goes on, not from the checkpoint: without drift they are the same, and with it what the user asks for takes
effect.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from opensloth_core.errors import ConfigError

MAX_LOGS = 100
"""Last logs that are kept with a checkpoint; the event log has all of them."""


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """The parameters that are trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def restore_weights(model: Any, saved: Mapping[str, torch.Tensor]) -> None:
    """Set the trained parameters to what was saved.

    Raises:
        ConfigError: the model trains other parameters, or some of another shape.
    """
    weights = trained_weights(model)
    if weights.keys() != saved.keys():
        name = min(weights.keys() ^ saved.keys())
        where = "the checkpoint does not hold" if name in weights else "this run does not train"
        raise ConfigError(
            f"{name}: {where} it; resume with the settings of the model the run was started with"
        )
    with torch.no_grad():
        for name, weight in weights.items():
            if weight.shape != saved[name].shape:
                raise ConfigError(
                    f"{name}: has shape {tuple(weight.shape)}, in the checkpoint {tuple(saved[name].shape)}; "
                    "resume with the settings of the model the run was started with"
                )
            weight.copy_(saved[name])


def restore_optimizer(optimizer: Any, saved: dict[str, Any]) -> None:
    """Set the state of an optimizer over the same parameters; its settings stay its own."""
    settings = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(saved)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)


def restore_scheduler(scheduler: LambdaLR, saved: dict[str, Any]) -> None:
    """Set a scheduler to where it was; its curve and its peak learning rates stay its own.

    Restore the optimizer first: its learning rates are set here.
    """
    scheduler.load_state_dict({**saved, "base_lrs": scheduler.base_lrs})
    rates = [
        base * curve(scheduler.last_epoch)
        for base, curve in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    ]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates


def trainer_part(trainer: Any) -> dict[str, Any]:
    """Scheduler, gradient scaler, counters and the last logs of a trainer."""
    scaler = trainer.accelerator.scaler
    return {
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "num_input_tokens_seen": trainer.state.num_input_tokens_seen,
        "total_flos": trainer.state.total_flos,
        "log_history": trainer.state.log_history[-MAX_LOGS:],
    }


def restore_counters(state: Any, step: int, saved: Mapping[str, Any]) -> None:
    """Set a `TrainerState` to what it was after `step`."""
    state.global_step = step
    for name in ("num_input_tokens_seen", "total_flos", "log_history"):
        setattr(state, name, saved[name])
