"""What the commands about promoted models are given."""

from pydantic import Field, PositiveInt

from opensloth_core.config.base import Settings


class LsSettings(Settings):
    """How models are listed."""

    as_json: bool = False
    """Print JSON."""


class ShowSettings(Settings):
    """Which model is shown."""

    name: str = Field(min_length=1)
    """A model, as os-train models ls lists it."""

    as_json: bool = False
    """Print JSON."""


class PathSettings(Settings):
    """Which version's folder is printed."""

    name: str = Field(min_length=1)
    """A model, as os-train models ls lists it."""

    version: str | None = None
    """A version, or how its name begins; the current one when not given."""


class RollbackSettings(Settings):
    """What becomes current again."""

    name: str = Field(min_length=1)
    """A model, as os-train models ls lists it."""

    to: str | None = None
    """The version to go to, or how its name begins; the one that was current before when not given."""

    as_json: bool = False
    """Print JSON."""


class PromoteSettings(Settings):
    """What becomes current."""

    name: str = Field(min_length=1)
    """The model: a new name, or one that os-train models ls lists."""

    run: str = Field(min_length=1)
    """A completed run: its name, how it begins, the four characters at its end, its folder, or "last"."""

    keep: PositiveInt = 5
    """Keep this many versions, the new one among them; older ones are removed."""

    why: str = "promoted by hand"
    """Why, in a sentence for those who look later."""

    as_json: bool = False
    """Print JSON."""


class RmSettings(Settings):
    """What goes."""

    name: str = Field(min_length=1)
    """A model, as os-train models ls lists it."""

    version: str | None = None
    """Remove this version alone, named or how its name begins; all of the model when not given."""

    dry_run: bool = False
    """Say what would be removed, and remove nothing."""

    yes: bool = False
    """Do not ask."""

    as_json: bool = False
    """Print JSON; implies --yes."""
