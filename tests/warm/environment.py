"""What a fork does to be as a process that was started with its environment would be."""

import os
import sys
from collections.abc import Mapping

COMPILE_LOCATION = "UNSLOTH_COMPILE_LOCATION"


def take_on(
    environment: Mapping[str, str], before_imports: Mapping[str, str], after_imports: Mapping[str, str]
) -> None:
    """Make this process's environment `environment`, with what the imports changed in it."""
    removed = before_imports.keys() - after_imports.keys()
    changed = {name: value for name, value in after_imports.items() if before_imports.get(name) != value}
    os.environ.clear()
    os.environ.update({name: value for name, value in environment.items() if name not in removed} | changed)
    if COMPILE_LOCATION in environment:
        _compile_to(environment[COMPILE_LOCATION], before_imports.get(COMPILE_LOCATION))
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # Python's own generator does so by itself


def _compile_to(location: str, imported_with: str | None) -> None:
    """Unsloth has copied the place for the code it generates, and put it on the path."""
    for name, module in list(sys.modules.items()):
        if name.startswith("unsloth_zoo") and hasattr(module, COMPILE_LOCATION):
            setattr(module, COMPILE_LOCATION, location)
    sys.path[:] = [location if entry == imported_with else entry for entry in sys.path]
