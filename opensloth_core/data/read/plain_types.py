"""Arrow's types that hold a value once and refer to it often, as types that hold every value.

Only then is the size of a batch that of its values; and a value that is too large is an error of Arrow's
allocator, which can be caught, where a view's scalar would end the process.
"""

from typing import Any

import pyarrow as pa


def with_plain_types(batch: Any) -> Any:
    """The batch without dictionaries, views and runs; itself where it has none.

    Raises:
        pa.ArrowMemoryError: the values do not fit into memory.
        pa.ArrowInvalid: a value is not what its type says.
    """
    fields = [field.with_type(_plain(field.type)) for field in batch.schema]
    if all(
        new.type is old.type or new.type == old.type for new, old in zip(fields, batch.schema, strict=True)
    ):
        return batch
    try:
        return batch.cast(pa.schema(fields))
    except pa.ArrowNotImplementedError:
        return batch  # Arrow has no cast for this nesting: read as it is, under the ceiling on memory


def _plain(kind: Any) -> Any:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_fixed_size_list(kind):
        return _with_item(kind, lambda item: pa.list_(item, kind.list_size))
    if pa.types.is_list(kind):
        return _with_item(kind, pa.list_)
    if pa.types.is_large_list(kind) or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return _with_item(kind, pa.large_list)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    return kind


def _with_item(kind: Any, list_of: Any) -> Any:
    item = kind.value_field
    plain = list_of(item.with_type(_plain(item.type)))
    return kind if plain == kind else plain
