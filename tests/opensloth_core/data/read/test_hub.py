"""Hub ids, and data sets read from a hub on the loopback by processes that know no other hub."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.data.read.hub import HubId
from tests.opensloth_core.data.read.hub_server import COMMIT, hub_server

REPOSITORY = Path(__file__).parents[4]
PROGRAM = """
import json, sys
from opensloth_core.data.read.fingerprint import fingerprint
from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.errors import DataError
out = []
for source, split in json.loads(sys.argv[1]):
    try:
        (file,) = find_inputs([source], split)
        reader = InputReader(file)
        rows = [(row.line, row.source.decode()) for row in reader]
        is_all = reader.bytes_read == reader.size_bytes
        out.append([rows, file.name, fingerprint(file), reader.digest, is_all])
    except DataError as err:
        out.append(str(err))
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with hub_server() as address:
        yield address


def ask(address: str, home: Path, *questions: tuple[str, str | None], **more: str) -> list[Any]:
    """What a new process finds; the hub's address is read once, when its client is imported."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(questions)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("org/name", HubId("org/name")),
        ("org/name-1.5", HubId("org/name-1.5")),
        ("org/name:main", HubId("org/name", "main")),
        ("org/name@v1.0", HubId("org/name", None, "v1.0")),
        ("org/name:en@refs/convert/parquet", HubId("org/name", "en", "refs/convert/parquet")),
        ("name", None),
        ("a/b/c", None),
        ("/org/name", None),
        ("./name", None),
        ("../name", None),
        ("org/name.jsonl", None),
        ("org/name.csv.gz", None),
        ("org/", None),
        ("org/name:", None),
        ("org/name@", None),
    ],
)
def test_a_hub_id_is_org_and_name_with_a_configuration_and_a_revision(
    source: str, expected: HubId | None
) -> None:
    assert HubId.parse(source) == expected


def test_a_data_set_is_read_at_its_commit(address: str, tmp_path: Path) -> None:
    train, test, no_split, no_config, no_revision, nothing, *with_revision = ask(
        address,
        tmp_path,
        ("org/name", None),
        ("org/name", "test"),
        ("org/name", "dev"),
        ("org/name:x", None),
        ("org/name@v9", None),
        ("org/none", None),
        ("org/name@main", None),
        (f"org/name:default@{COMMIT}", None),
    )
    fingerprint = f"{COMMIT} default train"
    assert train == [[[1, '{"a":1}'], [2, '{"a":2}']], "name", fingerprint, fingerprint, True]
    assert test[0] == [[1, '{"a":3}']]
    assert test[2] == f"{COMMIT} default test"
    assert no_split == "org/name: has no split 'dev'; it has train, test"
    assert no_config == "org/name:x: has no configuration 'x'; name one of default, as in org/name:default"
    assert no_revision == "org/name@v9: the data set has no such revision"
    assert nothing == (
        "org/none: no such file or folder, and no data set of that name on the hub, "
        "or it is private (hf auth login)"
    )
    assert with_revision == [train, train]


def test_a_folder_wins_over_a_hub_id_of_the_same_name(address: str, tmp_path: Path) -> None:
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "name" / "a.jsonl").write_text('{"a": 7}')
    ((rows, name, *_),) = ask(address, tmp_path, ("org/name", None))
    assert (rows, name) == ([[1, '{"a": 7}']], "a.jsonl")


def test_a_hub_that_cannot_be_reached_is_one_clear_line(tmp_path: Path) -> None:
    (refused,) = ask("http://127.0.0.1:9", tmp_path, ("org/name", None))
    assert refused.startswith(
        "org/name: no such file or folder, and the hub's data set of that name cannot be read (ConnectError: "
    )
    (offline,) = ask("http://127.0.0.1:9", tmp_path, ("org/name", None), HF_HUB_OFFLINE="1")
    assert offline == (
        "org/name: no such file or folder, and the hub, which may have a data set of that name, "
        "cannot be reached"
    )
