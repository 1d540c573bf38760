"""The page is whole, safe and says the same as the text."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

from opensloth_core.preview.page import preview_page
from opensloth_core.preview.preview import Preview

MakePreview = Callable[..., Preview]

VOID = {"meta"}
EVIL = '</span><script>alert(1)</script><img src=x onerror="alert(2)">&amp;'


class Page(HTMLParser):
    """A page taken apart: its elements, those not closed, and the text of what is trained."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.open: list[str] = []
        self.trained: list[str] = []
        self._is_trained = False
        self.feed(re.sub(r'<p class="legend">.*?</p>', "", text, flags=re.DOTALL))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._is_trained = tag == "span" and "y" in (dict(attrs).get("class") or "").split()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._is_trained = False

    def handle_data(self, data: str) -> None:
        if self._is_trained:
            self.trained.append(data)


def test_what_the_page_colours_is_what_is_trained(preview: MakePreview) -> None:
    page = Page(preview_page(preview([{"question": "q", "answer": "é\n<b>"}])))
    assert "".join(page.trained) == "⟨c3⟩é⏎\n<b><|im_end|>"
    assert page.open == []


def test_html_in_the_data_stays_text(preview: MakePreview) -> None:
    row = {"prompt": EVIL, "note": EVIL}
    for method, rows in [
        ("sft", [{"question": EVIL, "answer": EVIL}]),
        ("grpo", [row]),
        ("dpo", [{"prompt": EVIL, "chosen": EVIL, "rejected": "no"}]),
    ]:
        made = preview(rows, method=method, max_seq_length=2048)
        text = preview_page(made)
        tags = set(Page(text).elements)
        assert not tags & {"script", "img", "link", "iframe"}
        assert "<script" not in text and "<img" not in text


def test_the_page_asks_for_nothing_from_elsewhere(preview: MakePreview) -> None:
    text = preview_page(preview([{"question": "q", "answer": "a"}]))
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(", text)
    assert "default-src 'none'" in text


def test_the_page_has_ledger_pack_and_settings(preview: MakePreview) -> None:
    rows = [{"question": f"q{n}", "answer": "a"} for n in range(5)]
    made = preview(rows)
    text = preview_page(made)
    assert "rows read" in text and "5</td>" in text
    assert text.count('<b title="example') == len(made.units[0][0].examples)
    assert "positions restart 0-" in text
    assert made.manifest.key in text and "<th>max_seq_length</th><td>192</td>" in text
