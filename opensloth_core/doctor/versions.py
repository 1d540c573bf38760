"""Whether Python and the packages are within the bounds of what works together."""

import platform
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from opensloth_core.doctor.finding import Finding, error, ok

NAME = "versions"
_OURS = "opensloth"
_TOLD = ("torch", "transformers", "trl", "peft", "unsloth", "prefect")
_REMEDY = "uv sync in the project, or pip install --upgrade opensloth in an environment of its own"


def check_versions() -> Finding:
    """Python, and every package that the project names."""
    python, requirements = _bounds()
    wrong = _python(python) + violations(requirements)
    if wrong:
        return error(NAME, "; ".join(wrong), _REMEDY)
    told = ", ".join(f"{name} {_version(name)}" for name in _TOLD if _version(name))
    return ok(NAME, f"Python {platform.python_version()}, {told}")


def violations(requirements: Sequence[str]) -> list[str]:
    """What of the installed packages is not as these requirements say, in words.

    Args:
        requirements: as pip takes them; those of extras are left out.
    """
    # Imported here: the command line has no use for it.
    from packaging.requirements import Requirement

    wrong = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = _version(wanted.name)
        if found is None:
            wrong.append(f"{wanted.name} is not installed")
        elif not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} {found} is not {wanted.specifier}")
    return wrong


def _bounds() -> tuple[str | None, list[str]]:
    """Which Python and which packages the project works with."""
    try:
        return metadata(_OURS)["Requires-Python"], requires(_OURS) or []
    except PackageNotFoundError:  # run from its folder, not installed
        path = Path(__file__).parents[2] / "pyproject.toml"
        project = tomllib.loads(path.read_text())["project"] if path.is_file() else {}
        return project.get("requires-python"), list(project.get("dependencies", ()))


def _python(bounds: str | None) -> list[str]:
    from packaging.specifiers import SpecifierSet

    found = platform.python_version()
    if bounds is None or SpecifierSet(bounds).contains(found, prereleases=True):
        return []
    return [f"Python {found} is not {bounds}"]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
