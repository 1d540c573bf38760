"""Results of tasks as plain JSON, which can only ever become a manifest.

Prefect's own JSON serializer imports whatever a stored result names as its class and calls it with what
is stored, and the record beside a result may ask for pickle. So whoever could write into the store could
run code on the machines that read it.
"""

import json
from pathlib import Path
from typing import Any

from prefect.serializers import Serializer
from pydantic import Field

from opensloth_core.errors import StoreError
from opensloth_core.store.prepared import PreparedManifest

TYPE = "opensloth-manifest"


class ManifestSerializer(Serializer):
    """A manifest as JSON; nothing but a manifest is read."""

    type: str = Field(default=TYPE, frozen=True)

    def dumps(self, obj: Any) -> bytes:
        """A manifest as JSON; of the exception of a failed task, which Prefect keeps too, the words."""
        if isinstance(obj, PreparedManifest):
            return obj.model_dump_json().encode()
        return json.dumps({"failed": str(obj)}).encode()

    def loads(self, blob: bytes) -> PreparedManifest:
        """The manifest.

        Raises:
            ValueError: it is none.
        """
        return PreparedManifest.model_validate_json(blob)


def check_record(content: bytes, path: Path) -> None:
    """Refuse a record that would have its result read by anything else.

    Raises:
        StoreError: the record names another serializer, or is damaged.
    """
    try:
        serializer = json.loads(content)["serializer"]
    except (ValueError, KeyError, TypeError) as err:
        raise StoreError(f"{path}: not a record of a result; remove it") from err
    if serializer != {"type": TYPE}:
        raise StoreError(f"{path}: its result is not a manifest as JSON; remove it")
