"""Prepared data in Prefect's page: its ledger as a table, and a card that says what it is."""

import asyncio
from pathlib import Path
from uuid import UUID

from prefect import get_client, runtime
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)

from opensloth_core.preview.balance import balances
from opensloth_core.preview.card import data_card
from opensloth_core.preview.preview import Preview
from opensloth_core.store.prepared import PreparedManifest, prepared_dir
from tasks.prepare_dataset import PreparedData
from tasks.show import Shown, show_in_time

CARD = "data-card"
NUM_EXAMPLES = 3

EXAMPLES_SECONDS = 60.0
"""How long the examples may take, which nothing waits for: a tokenizer is loaded beside ranks that load."""


async def show_data(data: PreparedData, tokenizer_dir: Path) -> None:
    """Show prepared data on the page of the task that prepared it or found it.

    To be called once the ranks have started: the server refuses one of two writers of the same moment, which
    then waits for seconds, and the start of a rank is one.
    """
    await show_in_time("the data", _show(data.manifest, data.task_run_id))
    await show_in_time("examples", _show_examples(data.manifest, tokenizer_dir), EXAMPLES_SECONDS)


async def _show(manifest: PreparedManifest, task_run_id: UUID | None) -> None:
    title = f"{manifest.preparation['method']} data {manifest.key[:12]}"
    table = [
        {"what": balance.name if first else "", "number": f"{count:,}", "is": label}
        for balance in balances(manifest.ledger)
        for first, count, label in [
            (True, balance.total, " ".join(filter(None, (balance.label, balance.note)))),
            *((False, count, label) for count, label in balance.terms),
        ]
    ]
    runs = (UUID(runtime.flow_run.id), task_run_id)
    await Shown("data-ledger", f"Where the rows and tokens of {title} went.", *runs).table(table)
    await Shown(CARD, f"What {title} is.", *runs).markdown(data_card(manifest))


async def _show_examples(manifest: PreparedManifest, tokenizer_dir: Path) -> None:
    """Add examples to the card."""
    card = await asyncio.to_thread(_card, manifest, tokenizer_dir)
    of_run = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(runtime.flow_run.id)]),
        key=ArtifactFilterKey(any_=[CARD]),
    )
    async with get_client() as client:
        for artifact in await client.read_artifacts(artifact_filter=of_run):
            await client.update_artifact(artifact.id, ArtifactUpdate(data=card))


def _card(manifest: PreparedManifest, tokenizer_dir: Path) -> str:
    folder = prepared_dir(manifest.key)
    return data_card(manifest, Preview.of(folder, manifest, tokenizer_dir, NUM_EXAMPLES))
