"""Runs that need the files of a version."""

from pathlib import Path

from opensloth_core.models.adapter import is_adapter
from opensloth_core.store.usage import claims


def user_of(folder: Path) -> str | None:
    """Who needs the files of a version, in words, or None.

    A live run needs what it started from; what was trained on a whole model needs that model for as long as
    the run is there. Runs of other machines are not known.
    """
    is_base = not is_adapter(folder)
    for claim in claims(live_only=not is_base):
        if any(Path(place).is_relative_to(folder) for place in claim.model_dirs):
            return (
                f"run {claim.run} works with it"
                if claim.is_live
                else f"what run {claim.run} trained needs it"
            )
    return None
