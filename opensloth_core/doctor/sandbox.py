"""Whether programs that a model writes can be run apart from all else, which the reward `code` does."""

import os

from opensloth_core.doctor.finding import Finding, ok, warning
from opensloth_core.errors import OpenSlothError
from opensloth_core.rewards.programs.sandbox import SANDBOX_VARIABLE, Limits, Sandbox

NAME = "sandbox"


def check_sandbox() -> Finding:
    """Starts the sandbox and runs a program in it."""
    if os.environ.get(SANDBOX_VARIABLE) == "limits":
        return warning(
            NAME,
            f"{SANDBOX_VARIABLE}=limits: programs may read and write what you can",
            "unset it where Landlock works",
        )
    try:
        with Sandbox(Limits(wall_seconds=5.0)) as sandbox:
            started = sandbox.ask({"program": "answer = 6 * 7", "as_script": False})
    except OpenSlothError as err:
        return warning(
            NAME,
            str(err).split("; ")[0].split(". In a ")[0],
            "only --reward code needs it: Linux 5.13 or newer",
        )
    if not started or not started.get("ok"):
        return warning(
            NAME, "starts, but runs no program", "only --reward code needs it; free memory, or restart"
        )
    return ok(NAME, "programs of the reward code run confined (Landlock, seccomp)")
