"""The settings of a run, and what its batches are made of."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.report.markup import plain, table
from opensloth_core.runs.report.numbers import counted
from opensloth_core.runs.report.record import RunRecord
from opensloth_core.runs.report.redact import redacted
from opensloth_core.runs.statistics import number

WITHOUT_DEFAULT = ("method", "model", "data", "grpo.reward")
"""Settings that say what the run is, shown whatever their value."""

BATCH_UNITS = {"sft": "packs", "dpo": "pairs", "grpo": "completions"}
"""What batches are counted in, by method."""

LONGEST = 600
Flat = dict[str, Any]


def settings_lines(record: RunRecord) -> list[str]:
    """What differs from the defaults, then everything, folded away."""
    values = settings_values(record)
    if not values:
        return []
    rows = [(f"`{name}`", value, default) for name, value, default in changed_settings(record)]
    everything = [(f"`{name}`", shown(value)) for name, value in values.items()]
    return [
        *table(("setting", "value", "default"), rows),
        "",
        f"<details><summary>All {len(everything)} settings</summary>",
        "",
        *table(("setting", "value"), everything),
        "",
        "</details>",
    ]


def settings_values(record: RunRecord) -> dict[str, Any]:
    """All settings of a run that its method has a use for, by dotted name."""
    others = {"dpo", "grpo"} - {record.method}
    return dict(_flat({name: v for name, v in record.settings.items() if name not in others}))


def changed_settings(record: RunRecord) -> list[tuple[str, str, str]]:
    """Name, value and default of what says what the run is, and of what differs from its default."""
    values, defaults = settings_values(record), _defaults(record)
    chosen = [n for n in WITHOUT_DEFAULT if n in values]
    chosen += [n for n, value in values.items() if n in defaults and value != defaults[n] and n not in chosen]
    return [
        (name, shown(values[name]), "" if name in WITHOUT_DEFAULT else shown(defaults[name]))
        for name in chosen
    ]


def batch_lines(record: RunRecord) -> list[str]:
    """What one optimizer step is made of; nothing of a run that took none."""
    if not record.losses:
        return []
    return [line for line in (_arithmetic(record), _tokens_of_step(record)) if line]


def _defaults(record: RunRecord) -> Flat:
    """What a run of this method has where nothing is given."""
    kind = OpenSlothConfig if record.is_training else DatasetPrepConfig
    given = {name: record.settings[name] for name in ("data", "model", "method") if name in record.settings}
    if record.is_training:
        given["finetuning_type"] = record.settings.get("finetuning_type", "lora")
        if reward := (record.settings.get("grpo") or {}).get("reward"):
            given["grpo"] = {"reward": reward}
    try:
        config = kind.of(given)
    except ConfigError:  # written by a version that had other settings
        return {}
    if isinstance(config, OpenSlothConfig):
        config = config.resolved()
    values = dict(_flat(config.model_dump(mode="json")))
    if "finetuning_type" in values:
        values["finetuning_type"] = OpenSlothConfig.model_fields["finetuning_type"].default
    return values


def _flat(settings: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted name."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{group}{name}.")
        else:
            yield f"{group}{name}", value


def shown(value: Any) -> str:
    """A setting's value as a person writes it, without secrets."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return plain(", ".join(redacted(str(item)) for item in value), LONGEST)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return plain(redacted(str(value)), LONGEST)


def _arithmetic(record: RunRecord) -> str | None:
    training, size = record.settings.get("training") or {}, record.world_size
    found: Mapping[str, Any] = (record.all("batch") or [training])[-1]
    batch = found.get("batch_size")
    if not isinstance(batch, int) or size is None:
        return None
    total, accumulation = training.get("global_batch_size"), found.get("gradient_accumulation_steps")
    if not isinstance(accumulation, int):
        accumulation = max(1, total // (batch * size)) if isinstance(total, int) else 1
    unit = BATCH_UNITS.get(record.method, "units")
    device = "GPU" if any(device != "cpu" for device in record.devices) else "process"
    plural = "es" if device == "process" and size > 1 else "s" if size > 1 else ""
    completions = batch * accumulation * size
    generations = number(record.settings.get("grpo") or {}, "num_generations") or 0
    prompts = ""
    if record.method == "grpo" and generations:
        prompts = (
            f", {generations:,.0f} for each of {counted(math.floor(completions / generations), 'prompt')}"
        )
    return (
        f"{batch:,} {unit} x {accumulation:,} micro-batch{'' if accumulation == 1 else 'es'} x "
        f"{size:,} {device}{plural} = **{completions:,} {unit}** in an optimizer step{prompts}."
    )


def _tokens_of_step(record: RunRecord) -> str | None:
    """Tokens of the mean step over all ranks."""
    steps: dict[int, dict[int, tuple[float, float]]] = {}
    for event in record.all("step"):
        tokens, trained = number(event, "tokens"), number(event, "trained_tokens")
        if tokens is not None and isinstance(event.get("step"), int):
            steps.setdefault(event["step"], {})[event.get("rank") or 0] = (tokens, trained or 0.0)
    whole = [ranks for ranks in steps.values() if len(ranks) == (record.world_size or 1)]
    if not whole:
        return None
    tokens = sum(tokens for ranks in whole for tokens, _ in ranks.values()) / len(whole)
    trained = sum(max(trained for _, trained in ranks.values()) for ranks in whole) / len(whole)
    of_them = f", {trained:,.0f} of them trained" if trained else ""
    return f"A step ran {tokens:,.0f} tokens on average{of_them}."
