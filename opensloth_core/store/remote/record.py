"""The record of a key in a remote store: who makes the artifact, and once it is published, what it is.

    <store>/v1/prepared/<key>.json                       the record
    <store>/v1/objects/prepared/<key>/<attempt>/…        files of an attempt, seen by nobody until it is named

Lease and publication are one object, and every write of it is conditional on the version that was read:

    (none) ──lease──> leased ──heartbeat──> leased ──publish──> published
                        │ ^                    │                    │ damaged, deleted
                        │ └──── take over ─────┘                    v
                        └────────────── release ──────────────────> free ──lease──> leased ...

So whoever publishes has held the lease from the moment of the version they name, up to and including the
write. A holder that was paused and taken over names a version that is gone, and its write is refused.
`token`, which grows with each lease, is the fencing token. A reader sees `published` with all its files, or
nothing.

Source: Gray and Cheriton 1989, Leases; fencing tokens as in
https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
"""

import os
import re
import secrets
import socket
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from opensloth_core.config.base import Settings
from opensloth_core.store.artifact import FileName, FileRecord

LAYOUT = "v1"
"""First folder in a store; a version that lays it out in another way uses another one."""

KINDS = ("prepared", "tokens")

_ATTEMPT = r"^[0-9]+-[0-9a-f]{16}$"
_MAX_HOLDER = 300
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"  # it is shown on terminals
_KEY = re.compile(r"^[0-9a-f-]+$")


class Record(Settings):
    """State of a key in a remote store."""

    state: Literal["leased", "published", "free"]
    """Somebody makes it; it is there; neither."""

    token: PositiveInt
    """Number of this lease of the key."""

    attempt: str = Field(pattern=_ATTEMPT)
    """Folder of this lease's files."""

    holder: str = Field(max_length=_MAX_HOLDER, pattern=_PRINTABLE)
    """Who has or had the lease, for people."""

    beat: NonNegativeInt = 0
    """Grows with every write, so that no two of them have the same content."""

    files: dict[FileName, FileRecord] = Field(default_factory=dict)
    """Files of a published artifact, its manifest included."""

    created: float | None = None
    """When it was published, in Unix seconds of the publisher's clock; nothing is decided by it."""

    @classmethod
    def lease(cls, previous: Self | None, holder: str) -> Self:
        """The record of a new lease held by this process, on behalf of `holder`."""
        token = previous.token + 1 if previous else 1
        who = f"{holder} on {socket.gethostname()} (process {os.getpid()})"
        return cls(
            state="leased",
            token=token,
            attempt=f"{token}-{secrets.token_hex(8)}",
            holder="".join(letter if letter.isprintable() else "?" for letter in who)[:_MAX_HOLDER],
        )

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """A record from its bytes; None where they are no record."""
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            return None

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.files.values())

    def changed(self, **changes: object) -> Self:
        """This record with some fields changed, as the next one to write."""
        values = {**self.model_dump(), **changes, "beat": self.beat + 1}
        return type(self).model_validate(values)

    def data(self) -> bytes:
        """The bytes to write."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def record_path(kind: str, key: str) -> str:
    """Where the record of a key is."""
    return f"{LAYOUT}/{kind}/{key}.json"


def key_dir(kind: str, key: str) -> str:
    """Where the files of all attempts at a key are."""
    return f"{LAYOUT}/objects/{kind}/{key}"


def attempt_dir(kind: str, key: str, attempt: str) -> str:
    """Where the files of an attempt are."""
    return f"{key_dir(kind, key)}/{attempt}"


def split_record_path(path: str) -> tuple[str, str] | None:
    """Kind and key of a record's path; None for any other path."""
    layout, _, rest = path.partition("/")
    kind, _, name = rest.partition("/")
    key = name.removesuffix(".json")
    if layout == LAYOUT and kind in KINDS and name.endswith(".json") and _KEY.match(key):
        return kind, key
    return None


def split_attempt_path(path: str) -> tuple[str, str, str] | None:
    """Kind, key and attempt of the path of an attempt's file; None for any other path."""
    parts = path.split("/")
    if len(parts) != 6 or parts[:2] != [LAYOUT, "objects"]:
        return None
    kind, key, attempt = parts[2:5]
    return (kind, key, attempt) if kind in KINDS and _KEY.match(key) and re.match(_ATTEMPT, attempt) else None
