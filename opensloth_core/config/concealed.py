"""Passwords and signatures of data URLs, kept out of every record.

A configuration is written into run directories, manifests and Prefect's database, so it holds such URLs with
`***` in the place of their secrets:

    https://me:secret@host/a.jsonl?X-Amz-Signature=1f3a  ->  https://***@host/a.jsonl?X-Amz-Signature=***

Only the environment of this process and those it starts knows the whole URL. So a run cannot be started again
from its record alone: such a URL has to be given anew.
"""

import hashlib
import json
import os
import re

from opensloth_core.runs.report.redact import MASK, without_credentials

VARIABLE = "OPENSLOTH_DATA_URLS"
"""JSON: whole URLs by what is shown of them."""

_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s?#]*)([?#]\S*)")
_PAIR = re.compile(r"([?&#;])([^\s=&#;?]*)=([^\s&#;]*)")
_LONE = re.compile(r"(?<=\?)[^=&#;]{16,}$")
_SECRET_NAME = re.compile(
    r"sig|token|secret|pass|pwd|key|auth|cred|policy|code|access|session", re.IGNORECASE
)

_MIN_SECRET_CHARS = 16
"""Shorter values say which file is meant, such as `id=5`, unless their name says otherwise."""


def concealed(source: str) -> str:
    """What may be written of a source; remembers the whole of it in this process's environment."""
    if "://" not in source:
        return source
    hops = source.split("::")
    # A password may hold the sign that joins the URLs of a chain.
    if any("@" in hop and "://" not in hop for hop in hops):
        hops = [source]
    shown = "::".join(map(_without_secrets, hops))
    if shown != source:
        os.environ[VARIABLE] = json.dumps({**_known(), shown: source})
    return shown


def revealed(source: str) -> str:
    """The source that `concealed` was given; itself where nothing of it is concealed, or it is not known."""
    return _known().get(source, source) if is_concealed(source) else source


def is_concealed(source: str) -> bool:
    """Whether a part of a source is left out."""
    return "://" in source and MASK in source


def _without_secrets(url: str) -> str:
    return _QUERY.sub(lambda found: found[1] + _query(found[2]), without_credentials(url))


def _query(query: str) -> str:
    return _LONE.sub(lambda found: _masked(found[0]), _PAIR.sub(_pair, query))


def _pair(found: re.Match[str]) -> str:
    before, name, value = found.groups()
    if _SECRET_NAME.search(name):
        return f"{before}{name}={MASK}"
    return found[0] if len(value) < _MIN_SECRET_CHARS else f"{before}{name}={_masked(value)}"


def _masked(value: str) -> str:
    # Two files may differ in such a value alone.
    return MASK + hashlib.blake2b(value.encode(), digest_size=4).hexdigest()


def _known() -> dict[str, str]:
    known: dict[str, str] = json.loads(os.environ.get(VARIABLE) or "{}")
    return known
