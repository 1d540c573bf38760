"""Help screens, rendered beforehand: shown without importing what parses flags.

`python -m flows.cli.freeze_help` renders them anew; a test holds them to what the commands say. They are
of the widest screen and of `--help`: narrower terminals and `--help-all` are served by rendering.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

HELP = ("-h", "--help")
WIDEST = 80
PAGES = Path(__file__).with_name("help_pages.json")


def help_page(program: str, words: Sequence[str]) -> str | None:
    """The screen that a command line asks for, or None where it has to be rendered or asks for none.

    Args:
        program: what was called, such as `os-train`.
        words: the words after it; only those that name a command, then one that asks for help.
    """
    *called, last = words or ("",)
    if last not in HELP or shutil.get_terminal_size().columns < WIDEST:
        return None
    page: str | None = json.loads(PAGES.read_text()).get(" ".join([program, *called]))
    return page
