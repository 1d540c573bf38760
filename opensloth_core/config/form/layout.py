"""Which settings the form of a flow asks for, in which order and group."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.nest import Names, flat_names, nested_settings

APART = frozenset({"method", "init_from"})
"""Settings in no form of a method: each method has a form, and `model` takes the name of a run too."""


@dataclass(frozen=True)
class Group:
    """Settings that stand together, behind a title."""

    description: str
    settings: tuple[str, ...]


FIRST = (
    "data",
    "model",
    "reward",
    "method",
    "gpus",
    "finetuning_type",
    "epochs",
    "learning_rate",
    "batch_size",
    "beta",
    "max_seq_length",
    "output",
)
"""Settings outside of a group: what most runs set."""

GROUPS: Mapping[str, Group] = {
    "preparation": Group(
        "How the data is read, what of it is trained and what is held out.",
        (
            "split",
            "map",
            "train_on",
            "overlong",
            "samples",
            "samples_from",
            "eval_size",
            "seed",
            "max_rejected",
            "prepared",
            "verify",
            "data_output",
        ),
    ),
    "lora": Group(
        "The low-rank adapter.",
        ("lora_rank", "lora_alpha", "lora_dropout", "target_modules", "pretrained_lora", "merge_lora"),
    ),
    "training": Group(
        "Optimizer, schedule and batches.",
        (
            "max_steps",
            "global_batch_size",
            "gradient_accumulation_steps",
            "lr_scheduler",
            "warmup_ratio",
            "weight_decay",
            "max_grad_norm",
            "optimizer",
            "gradient_checkpointing",
            "dtype",
        ),
    ),
    "dpo": Group("What only DPO has.", ("loss_type", "label_smoothing")),
    "grpo": Group(
        "What only GRPO has.",
        (
            "num_generations",
            "max_completion_length",
            "temperature",
            "top_p",
            "kl_beta",
            "constant_reward_steps",
        ),
    ),
    "evaluation": Group(
        "What is measured while training and after it, and where it goes.",
        ("eval_steps", "eval_generations", "report_to"),
    ),
    "run": Group(
        "Checkpoints, restarts and time limits of the run.",
        ("save_steps", "save_total_limit", "max_restarts", "stall_timeout_seconds", "trust_remote_code"),
    ),
}


@dataclass(frozen=True)
class FormField:
    """One setting of a form."""

    path: Names
    """Where the form has it: `("training", "dtype")`."""

    place: Names
    """Where the models have it: `("dtype",)`."""


def fields_of(model: type[DatasetPrepConfig], method: str | None) -> Iterator[FormField]:
    """Every setting of a form, in the order the page shows them.

    Args:
        model: whose settings.
        method: leave out what only other methods have; None asks for the method.
    """
    places = {place[-1]: place for place in flat_names(model).values()}
    groups = nested_settings(model)
    for path in _paths():
        place = places.get(path[-1])
        if place is None or (method is not None and path[-1] in APART):
            continue
        of_other = place[0] in ("dpo", "grpo") and place[0] in groups and place[0] != method
        # Training may start from prepared data, which is what a preparation makes.
        of_other |= path[-1] == "prepared" and method is None
        if of_other or (path[-1] == "train_on" and method not in ("sft", None)):
            continue
        yield FormField(path, place)


def _paths() -> Iterator[Names]:
    yield from ((name,) for name in FIRST)
    for group, members in GROUPS.items():
        yield from ((group, name) for name in members.settings)
