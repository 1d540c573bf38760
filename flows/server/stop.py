"""Stops the process that keeps a server, and with it server, worker and the runs of the worker."""

import os
import signal

from flows.server.record import ServerRecord, began_ticks, wait_until_ended

STOP_SECONDS = 75.0
"""Runs have 40 s to end, worker and server a few more."""


def stop_server(record: ServerRecord) -> bool:
    """Stop it and wait for its end; whether it ended by itself, rather than being killed."""
    try:
        process = os.pidfd_open(record.keeper)
    except ProcessLookupError:
        return wait_until_ended(1)
    try:
        if began_ticks(record.keeper) != record.keeper_ticks:  # the number is another process's by now
            return wait_until_ended(1)
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if wait_until_ended(STOP_SECONDS):
            return True
        signal.pidfd_send_signal(process, signal.SIGKILL)  # the kernel ends the two others then
        wait_until_ended(5)
        return False
    finally:
        os.close(process)
