"""Text without the secrets that people put into addresses."""

import re

MASK = "***"

_ADDRESS = r"[A-Za-z][A-Za-z0-9+.-]*://"

_PASSWORD = re.compile(rf"({_ADDRESS})[^\s/@:?#]*:(?!\d*(?:[/?#]|\s|$))\S*@")
"""`user:password@`; a password may hold `/`, `?`, `#` and `@`, and a port is none."""

_USER = re.compile(rf"({_ADDRESS})[^\s/?#]*@")
"""`token@`."""

_QUERY = re.compile(rf"({_ADDRESS}[^\s?#]*)([?#]\S*)")
_PAIR = re.compile(r"([?&#;][^\s=&#;?]*=)[^\s&#;]*")
_WEB_QUERY = re.compile(r"(https?://[^\s?#]*\?)[^\s=&#;]+(?=[\s#]|$)")
_TOKEN = re.compile(r"\b(hf_|ghp_|github_pat_|sk-)[A-Za-z0-9_-]{20,}")


def without_credentials(text: str) -> str:
    """The text with users and passwords of its addresses, and tokens, as `***`."""
    text = _PASSWORD.sub(rf"\1{MASK}@", text)
    return _TOKEN.sub(rf"\1{MASK}", _USER.sub(rf"\1{MASK}@", text))


def redacted(text: str) -> str:
    """The text with secrets of its addresses as `***`.

    Masked are users and passwords, every value of a query or fragment (a signature has many names) and
    tokens that are known by how they begin.

    https://me:secret@host/a.jsonl?X-Amz-Signature=1f3a  ->  https://***@host/a.jsonl?X-Amz-Signature=***
    """
    text = without_credentials(text)
    text = _QUERY.sub(lambda found: found[1] + _PAIR.sub(rf"\1{MASK}", found[2]), text)
    return _WEB_QUERY.sub(rf"\1{MASK}", text)
