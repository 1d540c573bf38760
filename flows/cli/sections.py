"""In which part of the help a flag stands, most important part first."""

from collections.abc import Sequence

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
    ),
    "Prepared data": ("prepared", "as_json"),
    "Preview": ("rows", "html"),
    "Model": ("model", "finetuning_type", "dtype", "init_from", "pretrained_lora", "merge_lora"),
    "DPO": ("dpo",),
    "GRPO": ("grpo",),
    "Training": ("training",),
    "LoRA": ("lora",),
    "Run": ("gpus", "output", "seed", "resume", "allow_drift"),
}
"""Fields, or whole groups of nested settings, by section; a field that is nowhere goes last."""


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
