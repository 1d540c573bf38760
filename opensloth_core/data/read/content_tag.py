"""Which of what a storage says of a file tells its content, without fetching the file.

A checksum of the bytes tells the content wherever the file is. An ETag of anything but S3 tells only that the
file at this URL has not changed: nginx makes it of a time and a size, which two files have in common easily.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_CHECKSUMS = ("Content-MD5", "content_md5", "md5Hash", "sha256", "blob_id")
"""Fields of fsspec's `info` that are a checksum of the content, as the protocols name them.

crc32c is too short to be one: two of a hundred thousand files have the same more often than not.
"""

_ETAGS = ("ETag", "etag")

_TIMES = ("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "modified")
"""Fields with the time of the last change."""

_S3_ETAG = re.compile(r'"?[0-9a-f]{32}(-\d+)?"?')
"""MD5 of the content, or of the MD5s of its parts; with some encryption a number drawn for the object."""

_WEAK = "W/"
"""How an ETag begins that may stay the same while the bytes change (RFC 9110, 8.8.1)."""

_PASSWORD = re.compile(r"(://[^\s/@:?#]*):[^\s/@]*@")
_PARAMETER = re.compile(r"([?&])([^=&#]*)=[^&#]*")
_SIGNING = re.compile(r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id")
_AZURE_SIGNATURE = "sig"
_AZURE_SIGNING = re.compile(r"sig|s[verpt]|spr|sip|ske|skt|sks|skv|skoid|sktid")


def content_tag(url: str, info: Mapping[str, Any], is_s3: bool) -> str | None:
    """A string that is another one for other content; None where the storage says too little.

    Args:
        url: of the file.
        info: what fsspec says of it.
        is_s3: whether it is an object of S3.
    """
    size = info.get("size")
    if checksum := next((name for name in _CHECKSUMS if info.get(name)), None):
        return f"{checksum.lower()} {info[checksum]} {size}"
    etag = str(next((info[name] for name in _ETAGS if info.get(name)), ""))
    if not etag or etag.startswith(_WEAK):
        return None
    if is_s3 and _S3_ETAG.fullmatch(etag):
        return f"etag {etag} {size}"
    changed = next((info[name] for name in _TIMES if info.get(name)), "")
    place = hashlib.blake2b(_unsigned(url).encode(), digest_size=16).hexdigest()
    return f"etag {etag} {size} {changed} at {place}"


def _unsigned(url: str) -> str:
    """A URL without its password and what signs it: signed anew, it is still that of the same file.

    All else stays, since any other parameter may say which file is meant.
    """
    names = {name.lower() for _, name in _PARAMETER.findall(url)}

    def kept(found: re.Match[str]) -> str:
        name = found[2].lower()
        signs = _SIGNING.fullmatch(name) or (_AZURE_SIGNATURE in names and _AZURE_SIGNING.fullmatch(name))
        return found[1] if signs else found[0]

    return _PARAMETER.sub(kept, _PASSWORD.sub(r"\1@", url))
