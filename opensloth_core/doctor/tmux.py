"""Whether tmux is there, in which a run survives a closed terminal."""

import shutil
import subprocess

from opensloth_core.doctor.finding import Finding, ok, warning

NAME = "tmux"


def check_tmux() -> Finding:
    """Its version."""
    path = shutil.which("tmux")
    if path is None:
        return warning(NAME, "not installed", "only --tmux needs it: apt install tmux")
    done = subprocess.run([path, "-V"], capture_output=True, text=True, check=False, timeout=4)
    if done.returncode != 0:
        return warning(
            NAME, f"{path} does not run: {done.stderr.strip()[:100]}", "only --tmux needs it: reinstall it"
        )
    return ok(NAME, done.stdout.strip())
