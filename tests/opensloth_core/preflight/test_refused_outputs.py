"""Output folders that hold something or cannot be written."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.checks.outputs import check_output
from opensloth_core.errors import ConfigError

Refused = Callable[..., str]

OUTPUTS = pytest.mark.parametrize("name", ["output", "data_output"])


@OUTPUTS
def test_an_output_that_is_a_file(name: str, refused: Refused, data: Path) -> None:
    assert refused(ConfigError, **{name: str(data)}) == f"{name} {data}: exists and is not a folder"


@OUTPUTS
def test_an_output_below_a_file(name: str, refused: Refused, data: Path) -> None:
    folder = data / "out"
    assert refused(ConfigError, **{name: str(folder)}) == (
        f"{name} {folder}: cannot write to {data}: Not a directory"
    )


@OUTPUTS
def test_an_output_of_nobody_and_one_in_the_own_home(
    name: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(ConfigError, **{name: "~no-user/out"}) == (
        f"{name} ~no-user/out: there is no user no-user; give the folder's whole path"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refused(ConfigError, **{name: "~"}) == (
        f"{name} {tmp_path}: the folder is not empty; give a new or empty one"
    )


@OUTPUTS
def test_an_output_that_holds_something(name: str, refused: Refused, tmp_path: Path) -> None:
    assert refused(ConfigError, **{name: str(tmp_path)}) == (
        f"{name} {tmp_path}: the folder is not empty; give a new or empty one"
    )


@OUTPUTS
@pytest.mark.parametrize("below", ["", "new", "new/deeper"])
def test_a_read_only_output_even_for_the_superuser(
    name: str, below: str, refused: Refused, tmp_path: Path
) -> None:
    read_only = tmp_path / "read-only"
    read_only.mkdir(mode=0o555)
    folder = read_only / below
    assert refused(ConfigError, **{name: str(folder)}) == (
        f"{name} {folder}: cannot write to {read_only}: it is read-only"
    )


def test_an_empty_output_in_a_read_only_folder(refused: Refused, tmp_path: Path) -> None:
    """The copy is made beside it."""
    output = tmp_path / "read-only" / "out"
    output.mkdir(parents=True)
    output.parent.chmod(0o555)
    assert refused(ConfigError, output=str(output)) == (
        f"output {output}: cannot write to {output.parent}: it is read-only"
    )


def test_an_output_where_nobody_can_write(refused: Refused) -> None:
    message = refused(ConfigError, output="/proc/out")
    assert message.startswith("output /proc/out: cannot write to /proc: ")


CHECK_MOUNT_POINT = """
import sys
from pathlib import Path
from opensloth_core.checks.outputs import check_output
try:
    check_output("output", Path(sys.argv[1]))
except Exception as err:
    print(err)
"""


def test_an_output_that_is_a_mount_point(tmp_path: Path) -> None:
    """Nothing can be renamed onto a volume mounted into a container."""
    volume = tmp_path / "volume"
    volume.mkdir()
    script = 'mount -t tmpfs none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(volume), sys.executable, CHECK_MOUNT_POINT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    if done.returncode != 0:
        pytest.skip(f"cannot mount: {done.stderr}")
    assert done.stdout == (
        f"output {volume}: is a mount point, which cannot be replaced; give a new folder in it\n"
    )


@pytest.mark.parametrize("below", ["", "data", "data/deeper"])
def test_data_exported_into_the_output(below: str, refused: Refused, tmp_path: Path) -> None:
    output = tmp_path / "out"
    data_output = output / below
    assert refused(ConfigError, output=str(output), data_output=str(data_output)) == (
        f"data_output {data_output}: is the folder of output {output} or lies in it; give two apart"
    )


def test_an_existing_empty_output_is_fine(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    check_output("output", tmp_path / "out")
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]
