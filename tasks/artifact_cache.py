"""Prefect's task cache over our artifact store.

The key is computed in the flow, before the task: an exception inside `compute_key` would silently turn
caching off. A hit is checked against the artifact itself: Prefect reads the result record through
`VerifiedRecords`, whose read fails when the artifact is missing or damaged, and takes a failed read
for a miss. Prefect swallows every exception there, so a test proves that hits happen.
"""

import json
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem

from opensloth_core.errors import StoreError
from opensloth_core.store.home import home_dir
from opensloth_core.store.prepared import PreparedManifest, find_prepared


class ArtifactKey(CachePolicy):
    """A cache policy whose key is known beforehand."""

    def __init__(self, key: str) -> None:
        super().__init__(key_storage=VerifiedRecords(basepath=str(records_dir())))
        self.key = key

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        """The artifact's key, whatever the task's inputs are called."""
        return self.key


class VerifiedRecords(LocalFileSystem):
    """Result records, readable only while the artifact they stand for is whole."""

    _block_type_slug = "opensloth-verified-records"

    def read_path(self, path: str, _sync: bool | None = None) -> bytes:  # type: ignore[override]
        """The record at `path`, whose name is the artifact's key.

        Raises:
            StoreError: the artifact is missing or damaged.
        """
        key = Path(path).name
        manifest, problem = find_prepared(key)
        if manifest is None:
            raise StoreError(f"{path}: {problem or 'no such artifact'}")
        # A task that fails leaves a record too, and its exception as the result.
        PreparedManifest.model_validate(json.loads((results_dir() / key).read_text()).get("data"))
        return self._resolve_path(path).read_bytes()

    async def aread_path(self, path: str) -> bytes:
        """See `read_path`."""
        return self.read_path(path)


def records_dir() -> Path:
    """Where Prefect keeps which task runs have results."""
    return home_dir() / "store" / "records"


def results_dir() -> Path:
    """Where Prefect keeps the results themselves: small JSON manifests, never rows."""
    return home_dir() / "store" / "results"
