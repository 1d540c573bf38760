import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from opensloth_core.data.arrow_numbers import arrow_array, list_array, numpy_view


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.uint64])
def test_numbers_are_the_same_on_the_other_side(dtype: Any) -> None:
    values = np.array([3, 1, 255, 0], dtype)
    array = arrow_array(values)
    assert array.equals(pa.array(values))
    assert numpy_view(array, dtype).tolist() == [3, 1, 255, 0]
    assert numpy_view(array[1:3], dtype).tolist() == [1, 255]
    assert numpy_view(arrow_array(values[:0]), dtype).tolist() == []


def test_every_second_number_is_taken_too() -> None:
    assert arrow_array(np.arange(6, dtype=np.int32)[::2]).to_pylist() == [0, 2, 4]


def test_rows_are_cut_from_the_values() -> None:
    rows = list_array(np.array([1, 2, 3], np.int32), np.array([2, 0, 1], np.int32))
    assert rows.to_pylist() == [[1, 2], [], [3]]
    assert numpy_view(rows.values, np.int32).tolist() == [1, 2, 3]
    assert numpy_view(rows.offsets, np.int32).tolist() == [0, 2, 2, 3]


def test_nulls_are_no_numbers() -> None:
    with pytest.raises(AssertionError, match="without nulls"):
        numpy_view(pa.array([1, None], pa.int32()), np.int32)


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, numpy as np; from opensloth_core.data.arrow_numbers import *;"
        "rows = list_array(np.arange(3, dtype=np.int32), np.array([1, 2]));"
        "numpy_view(rows.values, np.int32); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
