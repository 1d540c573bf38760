import hashlib
from pathlib import Path

import pytest

from opensloth_core.data.read.fingerprint import fingerprint, input_digest
from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.errors import DataError


def digest_of(*paths: Path) -> str:
    return input_digest(find_inputs([str(path) for path in paths], None))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n')
    return path


def test_the_fingerprint_of_a_local_file_is_the_hash_of_its_bytes(path: Path) -> None:
    (file,) = find_inputs([str(path)], None)
    assert fingerprint(file) == hashlib.blake2b(b'{"a": 1}\n', digest_size=32).hexdigest()


def test_a_known_digest_spares_reading_a_local_file(path: Path) -> None:
    (file,) = find_inputs([str(path)], None)
    asked = []

    def known(local: Path) -> str:
        asked.append(local)
        return "known"

    assert fingerprint(file, known) == "known"
    assert asked == [path]
    assert input_digest([file], file_digest=known) == input_digest([file], ["known"])


def test_names_and_folders_do_not_count_and_content_and_order_do(path: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other, third = tmp_path / "b" / "c.json", tmp_path / "d.jsonl"
    other.write_bytes(path.read_bytes())
    third.write_text('{"a": 2}\n')
    assert digest_of(path) == digest_of(other)
    assert len({digest_of(path), digest_of(third), digest_of(path, third), digest_of(third, path)}) == 4


def test_the_format_counts_where_only_the_name_tells_it(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "a.tsv", "a.txt", "b.text")]
    for path in paths:
        path.write_text("a\n1\n")
    assert len({digest_of(path) for path in paths}) == 3


def test_the_digests_of_what_was_read_give_the_digest_of_the_input(path: Path) -> None:
    files = find_inputs([str(path)], None)
    reader = InputReader(files[0])
    list(reader)
    assert input_digest(files, [reader.digest]) == input_digest(files)


def test_a_file_that_is_gone_is_one_clear_line(path: Path) -> None:
    (file,) = find_inputs([str(path)], None)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.jsonl: no such file$"):
        fingerprint(file)
