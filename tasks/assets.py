"""Which data made which model, as Prefect's assets.

These are the events that a task of `prefect.assets.materialize` would emit. Such a task has its assets fixed
beforehand, tells nothing of what it found in its cache, and would be another task than the one whose cache
our store decides.
"""

from collections.abc import Mapping

from prefect.assets import Asset, AssetProperties
from prefect.context import AssetContext
from prefect.states import Completed

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.report.redact import redacted
from opensloth_core.store.prepared import PreparedManifest, prepared_dir

TOOL = "opensloth"


def prepared_asset(key: str) -> Asset:
    """Prepared data; its key is that of the store."""
    properties = AssetProperties(name=f"prepared data {key[:12]}", description=str(prepared_dir(key)))
    return Asset(key=f"opensloth://prepared/{key}", properties=properties)


def model_asset(run: RunDirectory) -> Asset:
    """What a run trained."""
    properties = AssetProperties(name=f"model of {run.path.name}", description=str(run.adapter_dir))
    return Asset(key=f"opensloth://models/{run.path.name}", properties=properties)


def tell_prepared(manifest: PreparedManifest) -> None:
    """Tell Prefect that prepared data was made."""
    made, ledger = manifest.preparation, manifest.ledger
    about = {
        "method": made["method"],
        "data": [redacted(str(source)) for source in made["data"]],
        "rows": ledger.rows_kept,
        "tokens_trained": ledger.tokens_trained,
    }
    _tell(prepared_asset(manifest.key), set(), about)


def tell_model(run: RunDirectory, metrics: Mapping[str, float]) -> None:
    """Tell Prefect that a model was made, from which data, and how good it is."""
    data = prepared_asset(run.launch().prepared_key)
    about = {"folder": str(run.adapter_dir), "model": redacted(run.config().model), "held_out": dict(metrics)}
    _tell(model_asset(run), {data}, about)


def _tell(made: Asset, of: set[Asset], about: Mapping[str, object]) -> None:
    context = AssetContext(
        direct_asset_dependencies=of,
        downstream_assets={made},
        materialized_by=TOOL,
        materialization_metadata={made.key: dict(about)},
    )
    context.emit_events(Completed())
