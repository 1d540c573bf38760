"""What `os-train export` is given."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.cli.command import Command
from opensloth_core.config.base import Settings
from opensloth_core.errors import ConfigError

ONLY_FOR = {
    "output": ("merged", "gguf"),
    "dtype": ("merged", "hub"),
    "outtype": ("gguf",),
    "repo": ("hub",),
    "what": ("hub",),
    "private": ("hub",),
}
"""Settings that not every target has a use for."""


class ExportSettings(Settings):
    """What is exported, and where to."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"; also the name
    of a promoted model, or the folder of an adapter or a model."""

    to: Literal["merged", "gguf", "hub"]
    """A model folder that transformers and vLLM load (merged), a file for llama.cpp and Ollama (gguf), or a
    repository on the Hugging Face hub (hub)."""

    output: Path | None = None
    """New or empty folder for it; exports/ in OPENSLOTH_HOME, named after the run, when not given."""

    model: str | None = Field(default=None, min_length=1)
    """The adapter's base model, where it is not where it was: a folder or a hub id."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Number format of the weights; "auto" is the base model's own."""

    outtype: Literal["auto", "f32", "f16", "bf16", "q8_0"] = "auto"
    """Number format of the GGUF file; "auto" is 16-bit."""

    repo: str | None = Field(default=None, min_length=1)
    """Repository on the hub, as user/name; made if it is not there."""

    what: Literal["adapter", "merged"] = "adapter"
    """Push the adapter alone, or the model with it merged in."""

    private: bool = True
    """Make the repository private."""


def export_settings(given: Mapping[str, Any]) -> ExportSettings:
    """The settings of a command line.

    Raises:
        ConfigError: one is wrong or missing, or would have no effect.
    """
    settings = ExportSettings.of(given)
    for name, targets in ONLY_FOR.items():
        if name in settings.model_fields_set and settings.to not in targets:
            raise ConfigError(f"{name}: has no effect on an export to {settings.to}; drop it")
    if settings.to == "hub" and settings.repo is None:
        raise ConfigError("repo: an export to hub needs it, as in --repo user/name")
    if settings.to == "hub" and "dtype" in settings.model_fields_set and settings.what == "adapter":
        raise ConfigError("dtype: has no effect on an adapter; drop it, or give --what merged")
    return settings


def _export(settings: ExportSettings) -> int:
    from flows.cli.export.run import run_export

    return run_export(settings)


EXPORT = Command(
    name="export",
    summary="Make a model of a run's result that other programs take.",
    usage="os-train export RUN --to merged|gguf|hub [flags]",
    description=(
        "Merges the adapter of a run into its base model and writes it as a folder or a GGUF file, or pushes"
        " it to the Hugging Face hub with the token in HF_TOKEN. Never overwrites anything."
    ),
    examples=(
        "os-train export last --to merged",
        "os-train export a1b2 --to merged --output my_model --dtype bfloat16",
        "os-train export last --to gguf --outtype q8_0",
        "os-train export last --to hub --repo me/my-adapter",
    ),
    settings=ExportSettings,
    configure=export_settings,
    run=_export,
    positional="run",
)
