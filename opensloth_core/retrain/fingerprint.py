"""What a firing found, in a string that is kept with its judgement: data, settings, what is held out.

    data 5f0c…  settings 91ab…  held-out 0.1 of seed 42, prompts of sft

Taken without a GPU and without importing torch: of local files the digests are remembered (see
`store.digest_memory`), so an unchanged source costs one `stat` a file; remote storages are asked for etags,
the hub for its commit.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.read.fingerprint import input_digest
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.rewards.user import source_file
from opensloth_core.store.digest import file_digest, parts_digest
from opensloth_core.store.digest_memory import remembered_digest
from opensloth_core.training.checkpoint.made_with import SHAPE_NOTHING, all_settings

_DIGITS = 32

_BESIDE_THE_MODEL = SHAPE_NOTHING | {"data", "gpus", "data_output", "split", "init_from", "pretrained_lora"}
"""Settings that change no model, or count through the content of the data."""

_PROMPTS = ", prompts of "

_FORM = re.compile(r"data (?P<data>\w+) settings (?P<settings>\w+) held-out (?P<held_out>.+)")


@dataclass(frozen=True)
class SourceFingerprint:
    """What was watched, as it was found."""

    data: str
    """Digest of the rows' content."""

    settings: str
    """Digest of the settings that shape or judge a model."""

    held_out: str
    """What decides which rows are held out, for people: share, seed, and how a row's prompt is found. Earlier
    ones lack the last."""

    num_files: int = 0
    size_bytes: int = 0

    def __str__(self) -> str:
        return f"data {self.data} settings {self.settings} held-out {self.held_out}"

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """A fingerprint as it was kept; None where it is none of ours."""
        found = _FORM.fullmatch(text or "")
        return cls(found["data"], found["settings"], found["held_out"]) if found else None

    def is_same(self, other: "SourceFingerprint | None") -> bool:
        """Whether the same data was found with the same settings."""
        return other is not None and (self.data, self.settings) == (other.data, other.settings)


def source_fingerprint(config: OpenSlothConfig, judged_by: Mapping[str, Any]) -> SourceFingerprint:
    """What a retraining would train on now.

    Args:
        config: see `retraining_config`.
        judged_by: what else decides whether the model is promoted, such as `min_improvement`.

    Raises:
        DataError: the source is missing, unreadable or empty.
    """
    files = find_inputs(config.data, config.split)
    settings = {
        **{name: value for name, value in all_settings(config).items() if name not in _BESIDE_THE_MODEL},
        **judged_by,
        **_reward_digests(config),
    }
    return SourceFingerprint(
        data=input_digest(files, file_digest=remembered_digest)[:_DIGITS],
        settings=parts_digest({name: repr(value) for name, value in settings.items()})[:_DIGITS],
        held_out=with_prompts(f"{config.eval_size:g} of seed {config.seed}", config.method, config.map),
        num_files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
    )


def with_prompts(held_out: str, method: str, columns: Mapping[str, str]) -> str:
    """What decides which rows are held out, with what decides what is the prompt of a row.

    Another column as the prompt puts all rows into other groups, and by that on other sides.

    Args:
        held_out: share and seed, or both with the prompts already.
        columns: the setting `map`.
    """
    if _PROMPTS in held_out:
        return held_out
    mapped = f" by {json.dumps(columns, sort_keys=True)}" if columns else ""
    return f"{held_out}{_PROMPTS}{method}{mapped}"


def _reward_digests(config: OpenSlothConfig) -> dict[str, str]:
    """Digests of the user's own rewards by name: other code under the same name scores otherwise."""
    if config.method != "grpo":
        return {}
    files = {f"reward {choice.name}": source_file(choice.name) for choice in config.grpo.reward}
    return {name: file_digest(path) for name, path in files.items() if path is not None}
