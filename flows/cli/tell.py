"""Says something to whoever may no longer be there."""

import os
from typing import TextIO


def tell(stream: TextIO, text: str) -> None:
    """Print a line; where the terminal is closed or the pipe broken, nobody reads it, and that is all.

    What Python still holds for that stream would otherwise fail once more when it exits, and decide the exit
    code.
    """
    try:
        print(text, file=stream, flush=True)
    except OSError:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except OSError:  # no real file either
            return
