"""A remote store in a bucket of S3, or of a server that speaks its protocol."""

import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from opensloth_core.store.remote.fsspec_objects import FsspecObjects
from opensloth_core.store.remote.objects import BLOCK_BYTES, PROBES, Listed, Stored
from opensloth_core.store.remote.reaching import error_code, reaching

_CONNECT_SECONDS = 10
_SILENT_SECONDS = 60
_TRIES = 3
_PARALLEL_PARTS = 2
_MAX_PARTS = 9_000
_DELETED_AT_ONCE = 1_000

_REFUSED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404"}
"""Codes of a write whose condition does not hold."""

_NO_ETAG = f'"{32 * "0"}"'

_UNKNOWN = {"NotImplemented", "501", "InvalidArgument", "InvalidRequest"}
"""Codes of a server that does not know conditions."""


class S3Objects(FsspecObjects):
    """Objects of a bucket, written with `If-None-Match: *` and `If-Match: <etag>`.

    The server compares and writes in one step, whatever the clocks of the machines say. Servers that ignore
    the conditions are found out before the first of them is relied on; what holds then is said by
    `FsspecObjects`.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """

    def __init__(self, url: str) -> None:
        from fsspec.config import conf  # type: ignore[import-untyped]

        limits = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _SILENT_SECONDS}
        given = conf.get("s3", {}).get("config_kwargs", {})
        super().__init__(url, config_kwargs={**limits, "retries": {"max_attempts": 1}, **given})
        self._fs.retries = _TRIES
        self._bucket, _, self._prefix = self._root.partition("/")

    @cached_property
    def is_conditional(self) -> bool:
        path = f"{PROBES}/{secrets.token_hex(8)}"
        with reaching(self.url):
            try:
                version = self._write(path, b"1", IfNoneMatch="*")
                honoured = (
                    version is not None
                    and self._write(path, b"2", IfNoneMatch="*") is None
                    and self._write(path, b"3", IfMatch=_NO_ETAG) is None
                    and self._write(path, b"4", IfMatch=version) is not None
                )
            except OSError as err:
                if error_code(err) not in _UNKNOWN:
                    raise
                honoured = False
        self.delete([path])
        return honoured

    def read(self, path: str) -> Stored | None:
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        async def content_and_etag() -> Stored:
            response = await self._fs._call_s3("get_object", Bucket=self._bucket, Key=self._key(path))
            async with response["Body"] as body:
                return Stored(await body.read(), response["ETag"])

        with reaching(self.url):
            try:
                stored: Stored = sync(self._fs.loop, content_and_etag)
            except FileNotFoundError as err:
                if error_code(err) == "NoSuchBucket":
                    raise
                return None
        return stored

    def write_if(self, path: str, data: bytes, version: str | None) -> str | None:
        if not self.is_conditional:
            return super().write_if(path, data, version)
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with reaching(self.url):
            return self._write(path, data, **condition)

    def delete_if(self, path: str, version: str) -> bool:
        if not self.is_conditional:
            return super().delete_if(path, version)
        with reaching(self.url):
            try:
                self._fs.call_s3("delete_object", Bucket=self._bucket, Key=self._key(path), IfMatch=version)
            except OSError as err:
                if error_code(err) not in _REFUSED:
                    raise
                return False
        return True

    def upload(self, source: Path, path: str) -> None:
        with reaching(self.url):
            # A part has to be sent within the time that the server may be silent.
            chunk_bytes = max(BLOCK_BYTES, source.stat().st_size // _MAX_PARTS + 1)
            self._fs.put_file(
                str(source), self._full(path), chunksize=chunk_bytes, max_concurrency=_PARALLEL_PARTS
            )

    def listing(self, folder: str) -> dict[str, Listed]:
        found = super().listing(folder)
        if not found:
            # s3fs takes a missing bucket for an empty one.
            with reaching(self.url):
                self._fs.call_s3("list_objects_v2", Bucket=self._bucket, MaxKeys=1)
        return found

    def delete(self, paths: Sequence[str]) -> None:
        with reaching(self.url):
            for first in range(0, len(paths), _DELETED_AT_ONCE):
                objects = [{"Key": self._key(path)} for path in paths[first : first + _DELETED_AT_ONCE]]
                answer = self._fs.call_s3(
                    "delete_objects", Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
                )
                for error in answer.get("Errors", []):
                    if error.get("Code") == "AccessDenied":
                        raise PermissionError(error.get("Message"))
                    raise OSError(error.get("Message") or error.get("Code"))

    def abort_uploads(self, folder: str, before: float, is_live: Callable[[str], bool]) -> int:
        num_aborted = 0
        place: dict[str, str] = {}
        with reaching(self.url):
            while True:
                answer: dict[str, Any] = self._fs.call_s3(
                    "list_multipart_uploads", Bucket=self._bucket, Prefix=self._key(folder) + "/", **place
                )
                for upload in answer.get("Uploads", []):
                    path = upload["Key"].removeprefix(self._key(""))
                    if upload["Initiated"].timestamp() < before and not is_live(path):
                        self._fs.call_s3(
                            "abort_multipart_upload",
                            Bucket=self._bucket,
                            Key=upload["Key"],
                            UploadId=upload["UploadId"],
                        )
                        num_aborted += 1
                if not answer.get("IsTruncated"):
                    return num_aborted
                place = {
                    "KeyMarker": answer["NextKeyMarker"],
                    "UploadIdMarker": answer["NextUploadIdMarker"],
                }

    def _write(self, path: str, data: bytes, **condition: str) -> str | None:
        try:
            answer = self._fs.call_s3(
                "put_object", Bucket=self._bucket, Key=self._key(path), Body=data, **condition
            )
        except OSError as err:
            if error_code(err) not in _REFUSED:
                raise
            return None
        return str(answer["ETag"])

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def _make_parent(self, path: str) -> None:
        """S3 has no folders."""
