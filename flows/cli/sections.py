"""In which part of the help a flag stands, most important part first."""

from collections.abc import Collection, Mapping, Sequence

from flows.cli.flags import Flag

SECTIONS = {
    "Data": (
        "data",
        "method",
        "split",
        "map",
        "train_on",
        "max_seq_length",
        "overlong",
        "samples",
        "samples_from",
        "eval_size",
        "max_rejected",
        "data_output",
        "verify",
    ),
    "Prepared data": ("prepared",),
    "Artifacts": ("key", "keys", "delete"),
    "What is removed": ("max_age", "max_size", "unreferenced", "keep"),
    "Where": ("remote",),
    "Preview": ("rows", "html"),
    "Model": (
        "model",
        "finetuning_type",
        "dtype",
        "init_from",
        "pretrained_lora",
        "merge_lora",
        "trust_remote_code",
    ),
    "DPO": ("dpo",),
    "GRPO": ("grpo",),
    "Training": ("training",),
    "LoRA": ("lora",),
    "Run": (
        "gpus",
        "output",
        "preset",
        "config",
        "seed",
        "resume",
        "allow_drift",
        "dry_run",
        "tmux",
        "attach",
    ),
    "Arguments": ("shell", "name", "file", "schema_method"),
    "Output": ("quiet", "verbose", "as_json"),
}
"""Fields, or whole groups of nested settings, by section; a field that is nowhere goes last."""


_OF_TRAINING = (
    "data",
    "model",
    "gpus",
    "epochs",
    "batch_size",
    "learning_rate",
    "output",
    "preset",
    "config",
)
_OF_DATA = ("data", "model", "gpus", "method", "max_seq_length", "preset", "config")

FIRST: Mapping[str, Collection[str]] = {
    "sft": (*_OF_TRAINING, "max_seq_length"),
    "dpo": (*_OF_TRAINING, "beta"),
    "grpo": (*_OF_TRAINING, "reward"),
    **{
        f"os-{method}": (*_OF_TRAINING, "prepared", own)
        for method, own in (("sft", "lora_rank"), ("dpo", "beta"), ("grpo", "reward"))
    },
    "": (*_OF_DATA, "samples", "eval_size", "data_output"),
    "preview": (*_OF_DATA, "rows", "html", "train_on"),
}
"""The ten settings that help shows where a command has many more, by the command's name."""


def matter_first(command: str, flags: Sequence[Flag]) -> list[Flag]:
    """The flags that a command's short help shows: all where it has few.

    Args:
        command: the command's name.
    """
    first = FIRST.get(command)
    return [flag for flag in flags if first is None or flag.name in first]


def by_section(flags: Sequence[Flag]) -> dict[str, list[Flag]]:
    """The flags under their section's title, in the order help shows them; no section is empty."""
    sections: dict[str, list[Flag]] = {title: [] for title in SECTIONS}
    for flag in flags:
        sections[_section(flag)].append(flag)
    for title, names in SECTIONS.items():
        sections[title].sort(key=lambda flag: names.index(flag.name) if flag.name in names else 99)
    return {title: members for title, members in sections.items() if members}


def _section(flag: Flag) -> str:
    key = flag.group or flag.name
    return next((title for title, names in SECTIONS.items() if key in names), "Run")
