"""How a child process of ours begins and reports its end."""

import sys
from collections.abc import Callable
from pathlib import Path

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.parent import die_with_parent
from opensloth_core.launch.process import USER_ERROR_EXIT


def run_child(main: Callable[[Path], None]) -> None:
    """Run `main(RUN_DIR)` from the command line, tied to the life of the process that started it.

    An error of ours is printed as one line, `error: …`, which the parent reads; anything else is a
    bug and keeps its traceback.
    """
    die_with_parent()
    try:
        main(Path(sys.argv[1]))
    except OpenSlothError as err:
        print(f"error: {err}", flush=True)
        sys.exit(USER_ERROR_EXIT if err.exit_code == 2 else 1)
