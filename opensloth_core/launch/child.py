"""How a child process of ours begins and reports its end."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.parent import die_with_parent
from opensloth_core.launch.process import RUN_ERROR_EXIT, USER_ERROR_EXIT


def run_child(main: Callable[[Path], None]) -> None:
    """Run `main(RUN_DIR)` from the command line, tied to the life of the process that started it.

    An error of ours is printed as one line, `error: …`, which the parent reads; anything else is a
    bug and keeps its traceback. SIGINT ends it as SIGTERM does: of a KeyboardInterrupt that came while
    libraries were imported, one of them made nothing, and the rank went on.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()
    try:
        main(Path(sys.argv[1]))
    except OpenSlothError as err:
        print(f"error: {err}", flush=True)
        leave(USER_ERROR_EXIT if err.exit_code == 2 else RUN_ERROR_EXIT)


def leave(code: int = 0) -> NoReturn:
    """End this process at once, without taking anything apart.

    DDP's reducer owns the process group. Freed when `main` returns, it would wait for the group's
    threads while it holds the interpreter's lock, which one of them may want: now and then a rank
    never ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
