"""The windows of a session beside the first: one for each rank's log."""

import subprocess

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event


class RankWindows:
    """Opens the windows once the ranks have started; a view of the run."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._is_open = False

    def show(self, event: Event) -> None:
        """Open them at the first rank of this attempt: how many there are is known then."""
        if self._is_open or event["kind"] != "mark":
            return
        self._is_open = True
        for rank in range(self._run.launch().world_size):
            path = self._run.log_path(rank)
            path.touch()
            # In the session of the window that this process runs in. It never decides how a run ends.
            window = ["tmux", "new-window", "-d", "-n", f"rank-{rank}", "tail", "-n", "+1", "-F", str(path)]
            subprocess.run(window, capture_output=True, check=False)

    def refresh(self) -> None:
        """Nothing moves between events."""

    def close(self) -> None:
        """The windows stay, so that one can see what the ranks said last."""
