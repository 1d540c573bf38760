"""What comes first in a flow that a server may have started: its parameters are checked, secrets fetched."""

import asyncio
import os
from pathlib import Path

from prefect.blocks.system import Secret
from prefect.context import FlowRunContext

from opensloth_core.checks.parameters import check_parameters
from opensloth_core.checks.roots import confine, is_confined
from opensloth_core.config.data import DatasetPrepConfig

SECRETS = {"HF_TOKEN": "hf-token", "WANDB_API_KEY": "wandb-api-key"}
"""Variables of the environment, and the Secret blocks that stand in for them where they are not set."""


async def admit(config: DatasetPrepConfig, resume: str | None = None, run_dir: Path | None = None) -> None:
    """Confine a run that a server started; one of the command line has the rights of its user.

    Raises:
        ConfigError: a parameter that such a run may not be given.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if not is_confined() and (flow_run is None or flow_run.deployment_id is None):
        return
    confine()
    await asyncio.to_thread(check_parameters, config, resume, run_dir)
    await take_secrets()


async def take_secrets() -> None:
    """Put secrets of Prefect's blocks into the environment of this process, whose ranks inherit it."""
    for variable, block in SECRETS.items():
        if os.environ.get(variable):
            continue
        try:
            secret: Secret[str] = await Secret.aload(block)
        except ValueError:  # there is no block of that name
            continue
        os.environ[variable] = str(secret.get())
