"""Where everything of ours lives on disk."""

import os
from pathlib import Path

from opensloth_core.expanded import expanded


def home_dir() -> Path:
    """`$OPENSLOTH_HOME`, or `~/.opensloth` where it is not set."""
    return expanded(os.environ.get("OPENSLOTH_HOME") or "~/.opensloth").absolute()
