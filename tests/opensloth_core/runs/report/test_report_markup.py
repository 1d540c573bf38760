"""Foreign text in Markdown stays text."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opensloth_core.preview.visible import visible
from opensloth_core.runs.report.markup import block, code, message, plain, table

RENDER = MarkdownIt("commonmark").enable("table")
NASTY = st.text(st.sampled_from("ab1 \\`*_[]()|~$#<>&!\"'-+.\n\t:/=\u200b"), max_size=40) | st.text(
    max_size=40
)


def cell_text(cell: str) -> str:
    """What a reader sees in the second cell of a table's only row."""
    [tokens] = [
        token.children
        for token in RENDER.parse("\n".join(table(("a", "b"), [("x", cell)])))
        if token.type == "inline" and token.map == [2, 3] and token.content != "x"
    ] or [[]]
    kinds = {token.type for token in tokens or []}
    assert kinds <= {"text", "text_special", "entity", "html_inline", "softbreak"}, kinds
    assert all(t.content == "<br>" for t in tokens or [] if t.type == "html_inline")
    return "".join("\n" if token.type == "html_inline" else token.content for token in tokens or [])


@given(NASTY)
def test_any_text_in_a_cell_reads_as_itself(text: str) -> None:
    lines = [visible(line.strip()) for line in text.strip().splitlines()]
    if [line for line in lines if line] in ([], ["x"]):
        return
    assert cell_text(plain(text)) == "\n".join(lines)


@given(NASTY)
def test_text_in_code_type_cannot_leave_it(text: str) -> None:
    shown = visible(" ".join(text.split()))
    if not shown or "|" in shown or "\\" in shown:
        return
    [inline] = [token for token in RENDER.parse(f"x {code(text)}") if token.type == "inline"]
    spans = [token for token in inline.children or [] if token.type == "code_inline"]
    assert [span.content for span in spans] == [shown]


@given(NASTY)
def test_a_block_ends_where_its_text_ends(text: str) -> None:
    tokens = RENDER.parse("\n".join([*block(text), "", "after"]))
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


def test_markup_is_escaped_and_lines_are_kept() -> None:
    assert plain("a | *b*\n<img> `c` & d_e _f") == "a \\| \\*b\\*<br>&lt;img&gt; \\`c\\` &amp; d_e \\_f"


def test_what_is_left_out_of_a_long_text_is_counted() -> None:
    assert plain("abcdef", limit=4) == "abcd … *(2 more characters)*"
    assert block("abcdef", limit=4) == ["```text", "abcd", "… (2 more characters)", "```"]


def test_invisible_characters_can_be_seen_and_halves_of_pairs_can_be_written() -> None:
    assert plain("a\x1b[0m\u200b") == "a␛\\[0m⟨U+200B⟩"
    assert plain("\ud800").encode() == "⟨U+D800⟩".encode()


def test_a_message_of_one_line_is_a_quote_and_one_of_several_a_block_both_without_secrets() -> None:
    assert message("no https://me:secret@host/a") == [r"> no https://\*\*\*@host/a"]
    assert message("a\n```\nhttps://me:secret@host") == ["````text", "a", "```", "https://***@host", "````"]


def test_a_table_aligns_numbers_to_the_right() -> None:
    assert table(("a", "b"), [("x", "1")], right=[1]) == ["| a | b |", "| --- | --: |", "| x | 1 |"]
