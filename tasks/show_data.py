"""Prepared data in Prefect's page: its ledger as a table, and a card that says what it is."""

import json
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate

from opensloth_core.preview.balance import balances
from opensloth_core.preview.card import data_card
from opensloth_core.store.prepared import PreparedManifest

LEDGER_KEY = "data-ledger"
CARD_KEY = "data-card"
"""Artifacts of one key are versions of one another in the page."""


async def show_data(manifest: PreparedManifest, flow_run_id: UUID | None, task_run_id: UUID | None) -> None:
    """Attach the artifacts of prepared data to the run of the task that prepared it or found it."""
    title = f"{manifest.preparation['method']} data {manifest.key[:12]}"
    table = [
        {"what": balance.name if first else "", "number": f"{count:,}", "is": label}
        for balance in balances(manifest.ledger)
        for first, count, label in [
            (True, balance.total, " ".join(filter(None, (balance.label, balance.note)))),
            *((False, count, label) for count, label in balance.terms),
        ]
    ]
    artifacts = (
        (LEDGER_KEY, "table", f"Where the rows and tokens of {title} went.", json.dumps(table)),
        (CARD_KEY, "markdown", f"What {title} is.", data_card(manifest)),
    )
    # Prefect's own helpers know only the run they are called in, and a cached task is not called.
    async with get_client() as client:
        for key, kind, description, data in artifacts:
            await client.create_artifact(
                ArtifactCreate(
                    key=key,
                    type=kind,
                    description=description,
                    data=data,
                    flow_run_id=flow_run_id,
                    task_run_id=task_run_id,
                )
            )
