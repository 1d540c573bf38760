"""`os-train server start`."""

import sys
from typing import TYPE_CHECKING

from flows.cli.cache.answer import answered
from flows.cli.server.words import facts, other_server, print_facts
from flows.server.record import ServerRecord
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.runs.report.numbers import duration

if TYPE_CHECKING:
    from flows.server.start import Wanted


def run_start(
    port: int, is_port_given: bool, roots: tuple[str, ...], output_roots: tuple[str, ...], limit: int | None
) -> int:
    """Start the server, say where it is, and give the exit code."""

    def start() -> int:
        from flows.server.start import Wanted

        read = tuple(_opened("--root", one) for one in roots)
        written = tuple(_opened("--output-root", one) for one in output_roots)
        return _start(Wanted(port, read, written, limit), is_port_given)

    return answered("os-train server start", start)


def _start(wanted: "Wanted", is_port_given: bool) -> int:
    from flows.server.start import start_server

    print("starting Prefect's server and a worker …", file=sys.stderr)
    started = start_server(wanted)
    if started.is_new:
        print(f"The server is up, with one worker (after {duration(started.seconds)})")
    else:
        _refuse_without_effect(wanted, is_port_given, started.record)
        print("The server is up already")
    print_facts(facts(started.record))
    if other := other_server(started.record):
        print(f"os-train server start: {other}", file=sys.stderr)
    return 0


def _opened(flag: str, place: str) -> str:
    if "://" in place:
        return place
    folder = expanded(place).absolute()
    if not folder.is_dir():
        raise ConfigError(f"{flag} {place}: no such folder")
    if ":" in str(folder):
        raise ConfigError(f"{flag} {place}: a folder with a colon in its name cannot be opened; rename it")
    return str(folder)


def _refuse_without_effect(wanted: "Wanted", is_port_given: bool, record: ServerRecord) -> None:
    """Whoever asks for more than the server that is up gives has to start it anew."""
    without = [
        f"{flag} {place}"
        for flag, asked, given in (
            ("--root", wanted.roots, record.roots),
            ("--output-root", wanted.output_roots, record.output_roots),
        )
        for place in asked
        if f":{place}:" not in f":{given}:"
    ]
    if is_port_given and wanted.port != record.port:
        without.append(f"--port {wanted.port}")
    if wanted.limit not in (None, record.limit):
        without.append(f"--limit {wanted.limit}")
    if without:
        raise ConfigError(
            f"{' '.join(without)}: the server is up already ({record.page}), without it; "
            "os-train server stop, then start it again with all its flags"
        )
