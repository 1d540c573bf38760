"""Where everything of ours lives on disk."""

import os
from pathlib import Path


def home_dir() -> Path:
    """`$OPENSLOTH_HOME`, or `~/.opensloth` where it is not set."""
    return Path(os.environ.get("OPENSLOTH_HOME") or Path.home() / ".opensloth").absolute()
