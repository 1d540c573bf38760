"""The task that looks whether there is anything new to train on."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import OpenSlothError
from opensloth_core.models.start import fetch_tokenizer
from opensloth_core.retrain.fingerprint import SourceFingerprint, source_fingerprint
from opensloth_core.store.explain import explain
from tasks.failed import failed


@task(name="watch-source", cache_policy=NO_CACHE, persist_result=False)
def watch_source(config: OpenSlothConfig, judged_by: Mapping[str, Any]) -> SourceFingerprint | State[Any]:
    """What would be trained on now, or the state that an error ends in; seconds, no GPU and no torch."""
    try:
        found = source_fingerprint(config, judged_by)
    except OpenSlothError as err:
        return failed(err, None)
    get_run_logger().info(
        "%s: %d file%s, %s bytes, %s",
        ", ".join(config.data),
        found.num_files,
        "" if found.num_files == 1 else "s",
        f"{found.size_bytes:,}",
        found,
    )
    return found


async def watched(config: OpenSlothConfig, judged_by: Mapping[str, Any]) -> SourceFingerprint:
    """Run the task `watch_source`. Gives what would be trained on now.

    Raises:
        DataError: the source is missing, unreadable or empty.
    """
    state = await asyncio.to_thread(
        lambda: cast(State[Any], watch_source(config, judged_by, return_state=True))
    )
    return cast(SourceFingerprint, await state.aresult())


@task(name="count-new-rows", cache_policy=NO_CACHE, persist_result=False)
def count_new_rows(config: OpenSlothConfig) -> State[Any] | None:
    """Say how much of new data has to be tokenized, or give the state that an error ends in."""
    try:
        tokens = explain(config.preparation, fetch_tokenizer(config.model), 1).tokens
    except OpenSlothError as err:
        return failed(err, None)
    logger = get_run_logger()
    if tokens is None or tokens.rows is None:
        logger.info("tokens there already: %s", "unknown before rows are drawn" if tokens else "all")
    else:
        logger.info(
            "%s rows, of which %s have their tokens already and %s are tokenized now",
            f"{tokens.rows:,}",
            f"{tokens.rows_reused:,}",
            f"{tokens.rows - tokens.rows_reused:,}",
        )
    return None


async def new_rows_counted(config: OpenSlothConfig) -> None:
    """Run the task `count_new_rows`.

    Raises:
        DataError, ModelError: see `explain`.
    """
    state = await asyncio.to_thread(lambda: cast(State[Any], count_new_rows(config, return_state=True)))
    await state.aresult()
