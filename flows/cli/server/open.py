"""`os-train server open`."""

import os
import sys

from flows.cli.cache.answer import answered
from flows.cli.server.words import DOWN, NOT_UP
from flows.server.record import read_record


def run_open() -> int:
    """Open the page and give the exit code."""
    return answered("os-train server open", _open)


def _open() -> int:
    record = read_record()
    if record is None:
        print(f"os-train server open: {NOT_UP}", file=sys.stderr)
        return DOWN
    print(record.page)
    if not _open_page(record.page):
        print(
            "no browser here; from another machine: ssh -L "
            f"{record.port}:127.0.0.1:{record.port} HOST, and open it there",
            file=sys.stderr,
        )
    return 0


def _open_page(page: str) -> bool:
    # Without a display webbrowser takes a browser of the terminal, which cannot show the page.
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False
    import webbrowser

    return webbrowser.open(page)
