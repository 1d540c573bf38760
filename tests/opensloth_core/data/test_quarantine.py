import json
from pathlib import Path

import pytest

from opensloth_core.data.quarantine import Quarantine, QuarantinedRow, shortened
from opensloth_core.errors import DataError

OVERLONG = "longer than max_seq_length"


def row(line: int, reason: str = "empty content", detail: str = "") -> QuarantinedRow:
    return QuarantinedRow("a.jsonl", line, reason, detail)


def quarantine(*rows: QuarantinedRow) -> Quarantine:
    found = Quarantine("train")
    for one in rows:
        found.add(one)
    return found


def test_rows_are_written_one_a_line_with_short_details(tmp_path: Path) -> None:
    found = Quarantine("train")
    found.write(
        tmp_path, [row(3, detail="a\nb\u2028c"), row(9, OVERLONG, "x" * 1000), row(10, detail="\ud800")]
    )
    lines = (tmp_path / "rejected.jsonl").read_bytes().decode("ascii").split("\n")
    assert len(lines) == 4
    assert json.loads(lines[0]) == {
        "file": "a.jsonl",
        "line": 3,
        "reason": "empty content",
        "detail": "a b c",
    }
    assert json.loads(lines[1])["detail"] == "x" * 300 + "..."
    assert found.counts == {"empty content": 2, OVERLONG: 1}


def test_a_detail_is_one_line_that_can_be_read() -> None:
    assert shortened("a  b\t\r\nc") == "a b c"
    assert shortened("x" * 300) == "x" * 300
    assert len(shortened("x" * 10_000_000)) == 303


def test_as_many_unusable_rows_as_allowed_pass() -> None:
    quarantine(row(1)).check(num_tried=100, num_usable=99, max_rejected=0.01)
    with pytest.raises(DataError):
        quarantine(row(1), row(2)).check(num_tried=100, num_usable=98, max_rejected=0.01)
    with pytest.raises(DataError):
        quarantine(row(1)).check(num_tried=100, num_usable=99, max_rejected=0)


def test_long_rows_are_no_sign_of_a_wrong_format() -> None:
    rows = [row(line, OVERLONG, "9 tokens > 8") for line in range(1, 51)]
    quarantine(*rows).check(num_tried=100, num_usable=50, max_rejected=0)
    with pytest.raises(DataError) as caught:
        quarantine(*rows, row(60), row(61)).check(num_tried=100, num_usable=48, max_rejected=0.01)
    # Only the places of those that are too many are named.
    assert str(caught.value) == (
        "train: 2 of 100 rows (2.0%) cannot be used, over the limit of 1%: "
        "a.jsonl:60, a.jsonl:61: empty content; mend them or raise --max-rejected"
    )


def test_no_row_and_no_usable_row_are_refused() -> None:
    with pytest.raises(DataError, match=r"^train: holds no row; at least one is needed$"):
        quarantine().check(0, 0, 1.0)
    with pytest.raises(DataError) as caught:
        quarantine(row(1, OVERLONG, "9 tokens > 8")).check(1, 0, 1.0)
    assert str(caught.value) == (
        "train: none of 1 rows can be used (raise --max-seq-length): a.jsonl:1: longer than max_seq_length "
        "(9 tokens > 8)"
    )
    with pytest.raises(DataError, match=r"none of 2 rows can be used: a\.jsonl:1"):
        quarantine(row(1, OVERLONG), row(2)).check(2, 0, 1.0)


@pytest.mark.parametrize("usable", [0, 1])
def test_an_error_is_one_line_of_bearable_length(usable: int) -> None:
    rows = [row(line, detail="line\n" * 1_000_000) for line in range(1, 6)]
    with pytest.raises(DataError) as caught:
        quarantine(*rows).check(5 + usable, usable, 0.01)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500
