from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from opensloth_core.data.shard import EVAL_FILE
from opensloth_core.data.units import PackUnits, PairUnits
from opensloth_core.training.evaluation.held_out import num_tokens, open_held_out, rank_batches


def write(folder: Path, schema: pa.Schema, rows: list[dict[str, object]]) -> Path:
    with pa.ipc.new_stream(str(folder / EVAL_FILE), schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return folder


def packs(lengths: list[int]) -> list[dict[str, object]]:
    return [{"input_ids": [i] * n, "labels": [i] * n, "seq_lengths": [n]} for i, n in enumerate(lengths)]


def test_there_are_none_without_a_file_or_without_rows(tmp_path: Path) -> None:
    assert open_held_out(tmp_path) is None
    assert open_held_out(write(tmp_path, PackUnits.schema, [])) is None


def test_a_limit_draws_units_with_the_seed(tmp_path: Path) -> None:
    write(tmp_path, PackUnits.schema, packs([1] * 50))

    def drawn(seed: int) -> list[int]:
        units = open_held_out(tmp_path, limit=5, seed=seed)
        assert units is not None
        return [row["input_ids"][0] for row in units]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 5 and max(drawn(1)) > 4
    everything = open_held_out(tmp_path, limit=50)
    assert everything is not None and len(everything) == 50


def test_a_pack_counts_its_tokens_and_a_pair_all_three_parts(tmp_path: Path) -> None:
    units = open_held_out(write(tmp_path, PackUnits.schema, packs([3, 5])))
    assert units is not None and num_tokens(units).tolist() == [3, 5]
    pair = {"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5, 6]}
    units = open_held_out(write(tmp_path, PairUnits.schema, [pair]))
    assert units is not None and num_tokens(units).tolist() == [6]


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_every_unit_is_evaluated_once_by_one_rank(world_size: int) -> None:
    tokens = np.array([7, 3, 9, 1, 5])
    batches = [rank_batches(tokens, rank, world_size, batch_size=2) for rank in range(world_size)]
    assert sorted(unit for own in batches for batch in own for unit in batch) == [0, 1, 2, 3, 4]
    assert all(len(batch) <= 2 for own in batches for batch in own)
    # 8 ranks: three have nothing to do.
    assert sum(not own for own in batches) == max(0, world_size - 5)


def test_ranks_get_near_equal_tokens_longest_first() -> None:
    tokens = np.array([10, 1, 9, 2])
    # Rounds of two, largest to the emptier rank: 10 | 9, then 2 to the 9 and 1 to the 10.
    assert rank_batches(tokens, 0, 2, batch_size=1) == [[0], [1]]
    assert rank_batches(tokens, 1, 2, batch_size=1) == [[2], [3]]
