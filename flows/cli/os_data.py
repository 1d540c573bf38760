"""`os-data` and its commands: data without training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from flows.cli.command import Command, Program
from flows.cli.request import PrepareRequest, RemoteSettings, prepare_request
from flows.cli.settings import SourceSettings, preparation_config
from flows.cli.shown import SHOWN_FLAGS, OutputSettings
from opensloth_core.config.base import Settings
from opensloth_core.config.data import DatasetPrepConfig


class PreviewSettings(DatasetPrepConfig):
    """What is prepared, and how much of it is shown."""

    rows: PositiveInt = 3
    """Examples to show."""

    html: Path | None = None
    """Write a page to this file instead of the terminal; it needs no network and no script."""


class PrepareSettings(OutputSettings, RemoteSettings, SourceSettings):
    """Where settings come from beside the flags, who runs it, and how it is shown."""


class InspectSettings(Settings):
    """Which prepared data is looked into."""

    prepared: str = Field(min_length=1)
    """Key of prepared data or how it begins, or a folder: of prepared data, of a copy of it, or of a run."""

    as_json: bool = False
    """Print JSON."""


def _preview_settings(given: Mapping[str, Any]) -> PreviewSettings:
    return preparation_config(given, PreviewSettings).config


def _prepare(request: PrepareRequest) -> int:
    from flows.cli.prepare import run_prepare

    return run_prepare(request)


def _preview(settings: PreviewSettings) -> int:
    from flows.cli.preview import run_preview

    return run_preview(settings)


def _inspect(settings: InspectSettings) -> int:
    from flows.cli.inspect import run_inspect

    return run_inspect(settings.prepared, settings.as_json)


PREPARE = Command(
    name="",
    summary="Prepare data, as os-train does before it trains.",
    usage="os-data DATA … --model MODEL [flags]",
    description=(
        "Reads, checks, tokenizes and packs data into one shard a GPU, and says where every row and"
        " token went. Data that was prepared before is found again; os-train takes it from there."
    ),
    examples=(
        "os-data my_data.jsonl --model embedded",
        "os-data a.jsonl b.parquet -m unsloth/gemma-3-4b-it --gpus 2 --eval-size 5%",
        "os-data pairs.json -m unsloth/gemma-3-4b-it --method dpo",
    ),
    settings=DatasetPrepConfig,
    extra=PrepareSettings,
    configure=prepare_request,
    run=_prepare,
    also={"data_output": ("-o", "--output"), **SHOWN_FLAGS},
)

PREVIEW = Command(
    name="preview",
    summary="See what is trained, token by token.",
    usage="os-data preview DATA … --model MODEL [flags]",
    description=(
        "Shows prepared examples token by token: what is trained, special tokens, the borders of a"
        " pack. The data is prepared first unless it was before."
    ),
    examples=(
        "os-data preview my_data.jsonl --model embedded",
        "os-data preview my_data.jsonl -m embedded --rows 20 --html preview.html",
    ),
    settings=PreviewSettings,
    extra=SourceSettings,
    configure=_preview_settings,
    run=_preview,
    hidden=("data_output",),
)

INSPECT = Command(
    name="inspect",
    summary="Print what prepared data is and what it was made of.",
    usage="os-data inspect KEY|PATH [flags]",
    description="Prints the manifest of prepared data: its ledger, settings, parts of its key and shards.",
    examples=("os-data inspect 3f2a", "os-data inspect my_prepared_data --json"),
    settings=InspectSettings,
    configure=InspectSettings.of,
    run=_inspect,
    positional="prepared",
    also={"as_json": ("--json",)},
)

OS_DATA = Program(
    name="os-data",
    purpose="Prepare training data and look at it.",
    commands={"preview": PREVIEW, "inspect": INSPECT},
    default=PREPARE,
)
