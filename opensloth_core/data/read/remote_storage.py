"""Files behind a URL of any protocol that fsspec knows: s3, gs, https, memory, hf, ..."""

from importlib.util import find_spec
from typing import Any, BinaryIO, cast

from opensloth_core.checks.roots import check_data_url
from opensloth_core.data.read.content_tag import content_tag
from opensloth_core.data.read.place import reading, shown
from opensloth_core.data.read.storage import Kind
from opensloth_core.errors import DataError

_CHAIN = "::"
_CONNECT_SECONDS = 10
_SILENT_SECONDS = 60


class RemoteStorage:
    """The file system of one URL; a location is a URL.

    Raises:
        DataError: the protocol is unknown, or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        check_data_url(url, shown(url))
        self._chained = url.partition(_CHAIN)[2]
        with reading(url):
            try:
                self._fs, _ = url_to_fs(url, **_options(url))
            except ImportError as err:
                raise DataError(_missing_package(url, err)) from err
            except ValueError as err:
                if "Protocol not known" not in str(err):
                    raise
                protocol = url.split("://")[0]
                raise DataError(f"{shown(url)}: {protocol}:// is no protocol that fsspec knows") from err

    def kind(self, location: str) -> Kind | None:
        check_data_url(location, shown(location))
        # Web servers have no folders; an index page of links is the nearest thing.
        if location.startswith(("http://", "https://")) and location.endswith("/"):
            return "folder"
        with reading(location):
            try:
                info = self._fs.info(self._path(location))
            except FileNotFoundError as err:
                if err.__cause__ is None or getattr(err.__cause__, "status", None) in (404, 410):
                    return None
                raise
        return "folder" if info["type"] == "directory" else "file"

    def files_under(self, folder: str) -> dict[str, str]:
        root = self._path(folder).rstrip("/")
        with reading(folder):
            paths = self._fs.find(root)
        return {path.removeprefix(root).lstrip("/"): self._url(path) for path in paths}

    def matches(self, pattern: str) -> list[str]:
        with reading(pattern):
            return [self._url(path) for path in self._fs.glob(self._path(pattern))]

    def size_bytes(self, location: str) -> int:
        return int(self._info(location).get("size") or 0)

    def content_tag(self, location: str) -> str | None:
        with reading(location):
            self._fs.invalidate_cache()
        return content_tag(location, self._info(location), self._is("s3"))

    def open(self, location: str, random_access: bool = False) -> BinaryIO:
        check_data_url(location, shown(location))
        # 0 makes fsspec's web client send one request instead of one a block.
        whole = {} if random_access or not self._is("http") else {"block_size": 0}
        with reading(location):
            return cast(BinaryIO, self._fs.open(self._path(location), "rb", **whole))

    def _info(self, location: str) -> dict[str, Any]:
        check_data_url(location, shown(location))
        with reading(location):
            return dict(self._fs.info(self._path(location)))

    def _is(self, name: str) -> bool:
        protocol = self._fs.protocol
        return name in ((protocol,) if isinstance(protocol, str) else protocol)

    def _path(self, location: str) -> str:
        return str(self._fs._strip_protocol(location.partition(_CHAIN)[0]))

    def _url(self, path: str) -> str:
        url = str(self._fs.unstrip_protocol(path))
        return f"{url}{_CHAIN}{self._chained}" if self._chained else url


def _options(url: str) -> dict[str, Any]:
    """Options of the protocol's client, so that a silent server is an error and not a long wait."""
    if url.startswith(("s3://", "s3a://")):
        limits = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _SILENT_SECONDS}
        return {"config_kwargs": {**limits, "retries": {"max_attempts": 1}}}
    if not url.startswith(("http://", "https://")) or not find_spec("aiohttp"):
        return {}
    from aiohttp import ClientTimeout

    # The client's own limit is five minutes for the whole of a file.
    timeout = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _missing_package(url: str, err: ImportError) -> str:
    cause = err.__cause__
    package = cause.name if isinstance(cause, ImportError) and cause.name else "its package"
    return f"{shown(url)}: {url.split('://')[0]}:// needs a package that is missing: pip install {package}"
