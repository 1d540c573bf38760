from pathlib import Path

import numpy as np

from opensloth_core.data.token_file import TokenTable, TokenWriter, token_batches
from tests.opensloth_core.data.token_examples import encoded


def test_what_is_appended_is_read_back_by_example(tmp_path: Path) -> None:
    path = tmp_path / "part.arrow"
    with TokenWriter(path) as writer:
        numbers = [
            writer.append(encoded([[10, 11, 12], [20, 21]], [[0, 1, 1], [0, 1]], groups=[7, 2**63 + 1])),
            writer.append(encoded([], [])),
            writer.append(encoded([[30, 31], [40]], [[1, 1], [0]], columns=[None, '{"a":1}'])),
        ]
    assert numbers == [0, 1, 2] and writer.num_batches == 3
    table = TokenTable(token_batches(path))
    assert len(table) == 4
    assert table.lengths_E.tolist() == [3, 2, 2, 1]
    assert table.first_of_batch.tolist() == [0, 2, 2, 4]
    assert table.column("group", np.uint64).tolist() == [7, 2**63 + 1, 0, 1]
    assert [table.columns(example) for example in range(4)] == [None, None, None, '{"a":1}']
    ids_T, trained_T = table.gather(np.array([3, 0, 2]), np.array([0, 1, 0]), np.array([1, 3, 2]))
    assert ids_T.tolist() == [40, 11, 12, 30, 31]
    assert trained_T.tolist() == [False, True, True, True, True]


def test_a_batch_may_be_read_several_times_and_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "part.arrow"
    with TokenWriter(path) as writer:
        writer.append(encoded([[1, 2]], [[0, 1]]))
        writer.append(encoded([[3]], [[1]]))
    first, second = token_batches(path)
    table = TokenTable([second, first, second])
    ids_T, _ = table.gather(np.arange(3), np.zeros(3, np.int32), table.lengths_E)
    assert ids_T.tolist() == [3, 1, 2, 3]


def test_a_file_without_batches_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "part.arrow"
    with TokenWriter(path):
        pass
    table = TokenTable(token_batches(path))
    assert len(table) == 0
    assert table.lengths_E.tolist() == [] and table.lengths_E.dtype == np.int32
    assert table.column("group", np.uint64).dtype == np.uint64
