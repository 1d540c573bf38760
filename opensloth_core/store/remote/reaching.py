"""Failures of a remote store, each in one line with the way out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from opensloth_core.data.read.place import one_line, shown
from opensloth_core.errors import StoreError
from opensloth_core.readme import more_in_readme

_LOCAL_ALONE = "or unset OPENSLOTH_STORE to use this machine's store alone"
DATA_STORY = more_in_readme("Sharing prepared data between machines")

_EXPLAINED = {
    "NoCredentialsError": "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "PartialCredentialsError": "incomplete credentials; set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "EndpointConnectionError": "the server does not answer; is it up, and AWS_ENDPOINT_URL right?",
    "ConnectTimeoutError": "the server does not answer; is it up, and AWS_ENDPOINT_URL right?",
    "NoSuchBucket": "no such bucket; create it, or correct OPENSLOTH_STORE",
    "InvalidBucketName": "not a valid bucket name; correct OPENSLOTH_STORE",
    "InvalidAccessKeyId": "the server does not know the access key; correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; correct AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; renew them",
    "RequestTimeTooSkewed": "this machine's clock is off by more than the server allows; set it",
}
"""What botocore's exceptions and S3's error codes come down to, by class or code."""


class RemoteStoreError(StoreError):
    """The remote store cannot be used."""


class ObjectMissing(RemoteStoreError):
    """There is no such object in the remote store."""


class RemoteStoreForbidden(RemoteStoreError):
    """The credentials are not allowed to do this."""


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn any failure to reach a store into one of our errors.

    The libraries behind fsspec each raise errors of their own, so every exception is taken here.

    Raises:
        RemoteStoreForbidden: the server refused.
        RemoteStoreError: the block raised anything else; the message is one line and names `url`, without
            what is secret in it.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as err:
        message = f"{shown(url)}: {_reason(url, err)}; {_LOCAL_ALONE}{DATA_STORY}"
        # Whoever retries what failed for a while looks at the cause: these fail again.
        if _is_forbidden(err):
            raise RemoteStoreForbidden(message) from None
        if isinstance(err, ImportError) or error_code(err) in _EXPLAINED:
            raise RemoteStoreError(message) from None
        raise RemoteStoreError(message) from err


def error_code(err: BaseException) -> str | None:
    """S3's own code for an error, such as `NoSuchBucket`."""
    for cause in (err, err.__cause__):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code"))
    return None


def _is_forbidden(err: Exception) -> bool:
    read_only = isinstance(err, OSError) and err.errno == errno.EROFS
    return isinstance(err, PermissionError) or read_only or error_code(err) in ("AccessDenied", "403")


def _reason(url: str, err: Exception) -> str:
    if isinstance(err, ImportError):
        return _missing_package(url, err)
    for cause in (err, err.__cause__):
        if cause is not None and type(cause).__name__ in _EXPLAINED:
            return _EXPLAINED[type(cause).__name__]
    code = error_code(err)
    if code in _EXPLAINED:
        return _EXPLAINED[code]
    if _is_forbidden(err):
        return f"access denied ({one_line(err)}); the credentials need to list, read, write and delete there"
    if isinstance(err, TimeoutError) or type(err).__name__ == "ReadTimeoutError":
        return "no answer in time; try again"
    if isinstance(err, OSError) and err.errno == errno.ENOSPC:
        return "its disk is full; make room"
    return f"the remote store cannot be used: {one_line(err)}"


def _missing_package(url: str, err: ImportError) -> str:
    protocol = url.split("://")[0]
    if protocol in ("s3", "s3a"):
        return "s3:// needs a package that is missing: pip install 'opensloth[s3]'"
    cause = err.__cause__
    package = cause.name if isinstance(cause, ImportError) and cause.name else "its package"
    return f"{protocol}:// needs a package that is missing: pip install {package}"
