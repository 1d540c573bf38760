"""What presets there are; apart from their files, so that help need not read these."""

from typing import Literal, get_args

PresetName = Literal["quick", "quality", "memory-saver", "long-context", "full", "reasoning"]

PresetChoice = Literal[PresetName, "auto"]
"""What may be asked for: "auto" becomes one of them, or none."""

PRESETS: tuple[PresetName, ...] = get_args(PresetName)
