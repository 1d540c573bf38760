"""The task that looks whether there is anything new to train on."""

from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.models.start import fetch_tokenizer
from opensloth_core.retrain.fingerprint import SourceFingerprint, source_fingerprint
from opensloth_core.store.explain import explain


@task(name="watch-source", cache_policy=NO_CACHE, persist_result=False)
def watch_source(config: OpenSlothConfig, judged_by: Mapping[str, Any]) -> SourceFingerprint:
    """What would be trained on now; seconds, no GPU and no torch.

    Raises:
        DataError: the source is missing, unreadable or empty.
    """
    found = source_fingerprint(config, judged_by)
    get_run_logger().info(
        "%s: %d file%s, %s bytes, %s",
        ", ".join(config.data),
        found.num_files,
        "" if found.num_files == 1 else "s",
        f"{found.size_bytes:,}",
        found,
    )
    return found


@task(name="count-new-rows", cache_policy=NO_CACHE, persist_result=False)
def count_new_rows(config: OpenSlothConfig) -> None:
    """Say how much of new data has to be tokenized.

    Raises:
        DataError, ModelError: see `explain`.
    """
    tokens = explain(config.preparation, fetch_tokenizer(config.model), 1).tokens
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
