"""Secrets in addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.runs.report.redact import redacted

CASES = {
    "https://me:secret@host/a.jsonl?X-Amz-Signature=1f3a": "https://***@host/a.jsonl?X-Amz-Signature=***",
    "https://secret@host/a": "https://***@host/a",
    "https://:secret@host": "https://***@host",
    "https://me:sec/ret?#@x@host/a": "https://***@host/a",
    "https://host/a?sv=2024&sig=a=b%2F=&se=1": "https://host/a?sv=***&sig=***&se=***",
    "https://host/a?secret": "https://host/a?***",
    "https://host/a#access_token=secret": "https://host/a#access_token=***",
    "https://host:8080?token=secret": "https://host:8080?token=***",
    "simplecache::s3://key:secret@bucket/a": "simplecache::s3://***@bucket/a",
    "see https://a:secret@host/x, then https://b/c?d=secret": "see https://***@host/x, then https://b/c?d=***",
    f"token hf_{'a1' * 17} is wrong": "token hf_*** is wrong",
}

UNTOUCHED = [
    "https://host:8080/a@b.jsonl",
    "s3://bucket/part-?.jsonl",
    "hf://datasets/org/name@main/train.jsonl",
    "/data/my=rows?.jsonl",
    "org/model:config@revision",
    "mail me@host: a=b",
    "hf_tiny_model",
]


@pytest.mark.parametrize("text", CASES)
def test_secrets_of_addresses_are_masked(text: str) -> None:
    assert redacted(text) == CASES[text]


@pytest.mark.parametrize("text", UNTOUCHED)
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@given(st.sampled_from([*CASES, *UNTOUCHED]))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


PASSWORD = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=6).map(
    lambda s: f"Zq9{s}"
)


@given(PASSWORD)
def test_no_password_of_printable_characters_gets_through(password: str) -> None:
    shown = redacted(f"https://me:{password}@host.example/rows.jsonl")
    assert shown.endswith("@host.example/rows.jsonl")
    assert "Zq9" not in shown
