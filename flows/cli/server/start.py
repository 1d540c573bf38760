"""`os-train server start`."""

import sys
from pathlib import Path

from flows.cli.cache.answer import answered
from flows.cli.server.words import facts, other_server, print_facts
from flows.server.record import ServerRecord
from opensloth_core.errors import ConfigError
from opensloth_core.runs.report.numbers import duration


def run_start(port: int, roots: tuple[str, ...], output_roots: tuple[str, ...], limit: int | None) -> int:
    """Start the server, say where it is, and give the exit code."""
    return answered("os-train server start", lambda: _start(port, roots, output_roots, limit))


def _start(port: int, roots: tuple[str, ...], output_roots: tuple[str, ...], limit: int | None) -> int:
    from flows.server.start import Wanted, start_server

    wanted = Wanted(
        port,
        tuple(_opened("--root", one) for one in roots),
        tuple(_opened("--output-root", one) for one in output_roots),
        limit,
    )
    print("starting Prefect's server and a worker …", file=sys.stderr)
    started = start_server(wanted)
    if started.is_new:
        print(f"The server is up, with one worker (after {duration(started.seconds)})")
    else:
        _refuse_without_effect(wanted.roots, wanted.output_roots, started.record)
        print("The server is up already")
    print_facts(facts(started.record))
    if other := other_server(started.record):
        print(f"os-train server start: {other}", file=sys.stderr)
    return 0


def _opened(flag: str, place: str) -> str:
    if "://" in place:
        return place
    folder = Path(place).expanduser().absolute()
    if not folder.is_dir():
        raise ConfigError(f"{flag} {place}: no such folder")
    if ":" in str(folder):
        raise ConfigError(f"{flag} {place}: a folder with a colon in its name cannot be opened; rename it")
    return str(folder)


def _refuse_without_effect(
    roots: tuple[str, ...], output_roots: tuple[str, ...], record: ServerRecord
) -> None:
    """Whoever asks for more than the server that is up gives has to start it anew."""
    for flag, asked, given in (
        ("--root", roots, record.roots),
        ("--output-root", output_roots, record.output_roots),
    ):
        for place in asked:
            if f":{place}:" not in f":{given}:":
                raise ConfigError(
                    f"{flag} {place}: the server is up already ({record.page}), without it; "
                    "os-train server stop, then start it again with all its flags"
                )
