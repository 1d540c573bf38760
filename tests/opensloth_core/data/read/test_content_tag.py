"""What of a storage's own words tells the content of a file."""

import pytest

from opensloth_core.data.read.content_tag import content_tag

MD5 = "900150983cd24fb0d6963f7d28e17f72"
URL = "https://host/a.jsonl"


@pytest.mark.parametrize("etag", [f'"{MD5}"', f'"{MD5}-12"'])
def test_s3_s_own_etag_tells_the_content_wherever_it_is(etag: str) -> None:
    info = {"ETag": etag, "size": 3, "LastModified": "today"}
    assert content_tag("s3://bucket/a", info, is_s3=True) == f"etag {etag} 3"
    assert content_tag("s3://bucket/b", {**info, "LastModified": "now"}, is_s3=True) == f"etag {etag} 3"


@pytest.mark.parametrize("name", ["Content-MD5", "md5Hash", "sha256", "blob_id"])
def test_a_checksum_tells_the_content_whatever_the_etag_is(name: str) -> None:
    tags = {content_tag(f"gs://bucket/{n}", {name: MD5, "etag": n, "size": 3}, is_s3=False) for n in "ab"}
    assert tags == {f"{name.lower()} {MD5} 3"}


@pytest.mark.parametrize(
    ("info", "is_s3"),
    [
        ({"ETag": '"6560a1b2-3"', "size": 3}, False),
        ({"ETag": '"6560a1b2-3"', "size": 3}, True),
        ({"ETag": f'"{MD5}"', "size": 3}, False),
        ({"etag": "0x8DC0", "crc32c": "AAAAAA==", "size": 3}, False),
    ],
    ids=["a web server's", "a server that speaks S3", "an md5 by its looks", "a short checksum"],
)
def test_any_other_etag_tells_only_that_a_url_gives_what_it_gave(
    info: dict[str, object], is_s3: bool
) -> None:
    tag = content_tag(URL, info, is_s3)
    assert tag == content_tag(URL, info, is_s3)
    assert tag != content_tag("https://host/b.jsonl", info, is_s3)
    assert tag != content_tag("https://other/a.jsonl", info, is_s3)
    assert tag != content_tag(URL, {**info, "Last-Modified": "later"}, is_s3)


@pytest.mark.parametrize("info", [{}, {"size": 3}, {"ETag": 'W/"1"', "size": 3}, {"crc32c": "AAAAAA=="}])
def test_where_nothing_tells_the_content_the_bytes_have_to(info: dict[str, object]) -> None:
    assert content_tag(URL, info, is_s3=False) is None


@pytest.mark.parametrize(
    "again",
    [
        "?file=1&X-Amz-Signature=b&X-Amz-Date=2",
        "?file=1&X-Amz-Signature=c&X-Amz-Date=3",
    ],
)
def test_a_url_that_is_signed_anew_is_that_of_the_same_file(again: str) -> None:
    info = {"ETag": "1", "size": 3}
    first = content_tag("https://me:a@host/a?file=1&X-Amz-Signature=a&X-Amz-Date=1", info, is_s3=False)
    assert content_tag(f"https://me:b@host/a{again}", info, is_s3=False) == first
    assert "host" not in str(first)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("?key=a", "?key=b"),
        ("?token=a", "?token=b"),
        ("?sr=a", "?sr=b"),
        ("", "?a"),
        ("?sig=1&file=a", "?sig=1&file=b"),
        ("#a", "#b"),
    ],
)
def test_a_parameter_that_may_say_which_file_is_meant_counts(one: str, other: str) -> None:
    info = {"ETag": "1", "size": 3}
    assert content_tag(URL + one, info, is_s3=False) != content_tag(URL + other, info, is_s3=False)


def test_a_signature_of_azure_does_not_count() -> None:
    info = {"ETag": "1", "size": 3}
    urls = [f"{URL}?sv=2022&se={day}&sr=b&sp=r&sig={day}" for day in "ab"]
    assert len({content_tag(url, info, is_s3=False) for url in urls}) == 1
