"""Sources in messages: no secret of a URL is shown, and every failure to read is one line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from opensloth_core.errors import DataError
from opensloth_core.runs.report.redact import without_credentials

_USER = re.compile(r"(\w+://)[^/@\s]+@")
_QUERY = re.compile(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*")
_MAX_CHARS = 200


def is_url(source: str) -> bool:
    """Whether a source is a URL, `s3://...` or a chain of them such as `zip://a.csv::s3://...`."""
    return "://" in source


def shown(source: str) -> str:
    """A source or a message without the user names, passwords and signed queries of its URLs."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", without_credentials(source)))


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn any failure to read into a DataError.

    Libraries for remote files each raise errors of their own, so every exception is taken here.

    Raises:
        DataError: the block raised; its message is one line and names `place`.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as err:
        raise _as_data_error(shown(place), err) from err


def one_line(err: BaseException) -> str:
    """What an error says, in one short line."""
    if isinstance(err, OSError) and err.strerror and not isinstance(err, ConnectionError):
        return err.strerror
    text = shown(" ".join(str(err).split())) or type(err).__name__
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."


def _as_data_error(place: str, err: Exception) -> DataError:
    cause: BaseException = err
    if isinstance(err, FileNotFoundError):
        # fsspec gives this for every failure of a web server; what happened is its cause.
        if err.__cause__ is None or getattr(err.__cause__, "status", None) in (404, 410):
            return DataError(f"{place}: no such file")
        cause = err.__cause__
    if isinstance(cause, TimeoutError):
        return DataError(f"{place}: cannot be read: no answer in time; try again")
    return DataError(f"{place}: cannot be read: {one_line(cause)}")
