"""What shapes the steps of a run, and what of it differs between two attempts. Imports no torch."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.models.identity import model_identity
from opensloth_core.store.digest import parts_digest
from opensloth_core.training.checkpoint.manifest import MadeWith

IN_DATA_OR_MODEL = frozenset(DatasetPrepConfig.model_fields) - {"method", "seed"} | {"pretrained_lora"}
"""Settings that count through what they come to: the key of the prepared data, the model's weights."""

IN_BATCH = frozenset({"batch_size", "gradient_accumulation_steps", "global_batch_size"})
"""Settings that count through the batch numbers they come to."""

SHAPE_NOTHING = frozenset(
    {
        "output",
        "verify",
        "save_steps",
        "save_total_limit",
        "eval_steps",
        "eval_generations",
        "report_to",
        "constant_reward_steps",
        "stall_timeout_seconds",
        "max_restarts",
    }
)
"""Settings that a resumed run may change: its steps stay the same. All that are not named here count."""

GPU_COUNT = "GPU count"
"""The part of a prepared key that says for how many ranks the data was divided."""

COMPUTING = ("torch", "transformers", "trl", "peft", "unsloth", "bitsandbytes")

SHOWN_CHARACTERS = 24


def made_with(
    config: OpenSlothConfig,
    prepared_parts: Mapping[str, str],
    weight_folders: Sequence[Path],
    devices: Sequence[str],
    batch: BatchPlan,
) -> MadeWith:
    """What shapes the steps of a run.

    Args:
        prepared_parts: what the key of the prepared data is made of.
        weight_folders: of the model, and of the adapter that training begins with, if any.
        devices: one torch device a rank.
        batch: the run's batch numbers.
    """
    return MadeWith(
        prepared_key=parts_digest(prepared_parts),
        prepared_parts=dict(prepared_parts),
        model=model_identity(*weight_folders),
        device="cpu" if devices[0] == "cpu" else "cuda",
        world_size=len(devices),
        batch_size=batch.batch_size,
        gradient_accumulation_steps=batch.gradient_accumulation_steps,
        settings=shaping_settings(config),
        versions=_versions(),
    )


def shaping_settings(config: OpenSlothConfig) -> dict[str, Any]:
    """The settings of a run that shape its steps, beside its data, model, devices and batch numbers."""
    left_out = IN_DATA_OR_MODEL | IN_BATCH | SHAPE_NOTHING
    return {name: value for name, value in all_settings(config).items() if name not in left_out}


def all_settings(config: OpenSlothConfig) -> dict[str, Any]:
    """Every setting that a run has a use for by its own name, groups taken apart, defaults written out."""
    unused = {"dpo", "grpo"} - {config.method}
    if config.finetuning_type == "full":
        unused.add("lora")
    flat: dict[str, Any] = {}
    for name, value in config.resolved().model_dump(mode="json", exclude=unused).items():
        flat |= value if isinstance(value, dict) and name != "map" else {name: value}
    return flat


def differences(now: MadeWith, before: MadeWith) -> list[str]:
    """What differs, each in words: `learning_rate 0.0001 was 0.0002`."""
    return [
        *_data(now, before),
        *_pair("model weights", now.model, before.model),
        *_pair("device", now.device, before.device),
        *_pair("GPUs", now.world_size, before.world_size, ":"),
        *_batch(now, before),
        *(
            words
            for name in sorted(now.settings.keys() | before.settings.keys())
            for words in _pair(name, now.settings.get(name), before.settings.get(name), "")
        ),
    ]


def other_versions(before: MadeWith) -> list[str]:
    """Libraries that were there in another version than now, in words."""
    now = _versions()
    return [
        words
        for name in sorted(now.keys() | before.versions.keys())
        for words in _pair(name, now.get(name), before.versions.get(name), "")
    ]


def _data(now: MadeWith, before: MadeWith) -> list[str]:
    names = sorted((now.prepared_parts.keys() | before.prepared_parts.keys()) - {GPU_COUNT})
    parts = [
        words
        for name in names
        for words in _pair(name, now.prepared_parts.get(name), before.prepared_parts.get(name))
    ]
    if not parts:
        return []
    return [f"data: key {now.prepared_key[:12]} was {before.prepared_key[:12]} ({'; '.join(parts)})"]


def _batch(now: MadeWith, before: MadeWith) -> list[str]:
    if now.world_size == before.world_size:
        names: tuple[str, ...] = ("batch_size", "gradient_accumulation_steps")
    else:  # that ranks share the units of a step differently follows from their number
        names = ("global_batch_size",)
    return [words for name in names for words in _pair(name, getattr(now, name), getattr(before, name), "")]


def _pair(name: str, now: Any, before: Any, colon: str = ":") -> list[str]:
    return [] if now == before else [f"{name}{colon} {_shown(now)} was {_shown(before)}"]


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in COMPUTING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
