"""`--verbose`: what the processes of a run print, as events beside those of its log."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from opensloth_core.runs.events import Event

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""What would move the cursor or colour the terminal of whoever watches."""

_MOST_BYTES = 1 << 20
"""Read at once of each log."""


class LogLines:
    """Follows every log of a run from where it is now."""

    def __init__(self, logs_dir: Path) -> None:
        self._dir = logs_dir
        self._places = {path: path.stat().st_size for path in logs_dir.glob("*.log")}

    def new_events(self) -> Iterator[Event]:
        """A `log` event (source, text) for each whole line since the last call."""
        for path in sorted(self._dir.glob("*.log")):
            place = self._places.get(path, 0)
            with path.open("rb") as file:
                file.seek(place)
                block = file.read(_MOST_BYTES)
            whole = block[: block.rfind(b"\n") + 1] or (block if len(block) == _MOST_BYTES else b"")
            self._places[path] = place + len(whole)
            for line in whole.decode(errors="replace").split("\n"):
                # Of a bar that was redrawn, what was left on the screen.
                text = _ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip()
                if text:
                    yield {"time": time.time(), "kind": "log", "source": path.stem, "text": text}
