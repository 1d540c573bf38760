"""The record of a comparison, which a version keeps, or which tells the next firing what was refused."""

import time

from opensloth_core.registry.records import PromotionRecord
from opensloth_core.retrain.verdict import METRIC, Measured, Verdict
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.prepared import open_prepared


def judgement(
    run: RunDirectory, fingerprint: str, old: Measured, new: Measured, verdict: Verdict
) -> PromotionRecord:
    """What is kept of how the model of a run was judged.

    Args:
        fingerprint: of the source, see `SourceFingerprint`.

    Raises:
        StoreError: the run's prepared data is gone.
    """
    config, launch = run.config(), run.launch()
    seen = [event for event in read_events(run.events_path) if event["kind"] == "versions"]
    versions = {
        name: value
        for name, value in (seen[-1] if seen else {}).items()
        if name not in ("time", "kind") and isinstance(value, str)
    }
    return PromotionRecord(
        run=run.path.name,
        method=config.method,
        base_model=launch.base_model or launch.model_dir,
        prepared_key=launch.prepared_key,
        data=config.data_title,
        source_fingerprint=fingerprint,
        metric=METRIC[config.method],
        metrics_new=new.flat,
        metrics_old=old.flat,
        num_rows=open_prepared(launch.prepared_key).ledger.rows_kept,
        versions=versions,
        time=time.time(),
        why=verdict.why,
        promoted=verdict.is_better,
    )
