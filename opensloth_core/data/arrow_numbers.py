"""Numbers between numpy and Arrow without a copy.

`pa.array` and `to_numpy` do the same, and import pandas to see whether they were given a part of it: a
second of work in a process that has none.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_array(values: npt.NDArray[np.generic]) -> pa.Array:
    """A column of numbers."""
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def list_array(values: npt.NDArray[np.generic], lengths: npt.NDArray[np.integer]) -> pa.ListArray:
    """Rows of `lengths` values each, cut from `values`."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(arrow_array(offsets), arrow_array(values))


def numpy_view(array: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """The numbers of a column without nulls, read-only.

    Args:
        dtype: numpy's name for the column's type.
    """
    if not len(array):
        return np.empty(0, dtype)
    assert not array.null_count, "numbers without nulls"
    whole: npt.NDArray[np.generic] = np.frombuffer(array.buffers()[1], dtype)
    return whole[array.offset : array.offset + len(array)]
