"""Whether this machine's clock agrees with its file system's and the server's."""

import tempfile
import time
from pathlib import Path

from opensloth_core.doctor.finding import Finding, note, ok, warning
from opensloth_core.doctor.places import nearest_folder, store_dir
from opensloth_core.doctor.server import ask, used_server_url

NAME = "clock"
MOST_SECONDS_OFF = 5.0
_REMEDY = "set the clock: timedatectl set-ntp true; on a virtual machine restart its time service"


def check_clock() -> Finding:
    """Compares the time here with that of a new file, and with the server's."""
    compared, off = [], []
    folder = nearest_folder(store_dir())
    if (seconds := _file_system_off(folder)) is not None:
        compared.append("file system")
        off.append(("the file system of " + str(folder), seconds))
    if (seconds := _server_off()) is not None:
        compared.append("server")
        off.append(("the server", seconds))
    wrong = [f"{who} is {seconds:+.0f} s off" for who, seconds in off if abs(seconds) > MOST_SECONDS_OFF]
    here = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if wrong:
        return warning(NAME, f"{here}; {'; '.join(wrong)}", _REMEDY)
    return (
        ok(NAME, f"{here}, as {' and '.join(compared)}")
        if compared
        else note(NAME, f"{here}, compared with none")
    )


def _file_system_off(folder: Path) -> float | None:
    """Seconds by which new files are ahead; None where none can be made, which is another check's to say."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".opensloth-doctor-", dir=folder) as file:
            file.write(b"now")
            file.flush()
            return Path(file.name).stat().st_mtime - time.time()
    except OSError:
        return None


def _server_off() -> float | None:
    url = used_server_url()
    if url is None:
        return None
    try:
        begun = time.time()
        answer = ask(url)
    except (OSError, ValueError):
        return None
    # The header has whole seconds, and is from somewhere between question and answer.
    return None if answer.time is None else answer.time + 0.5 - (begun + time.time()) / 2
