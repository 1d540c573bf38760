"""The screens that are rendered beforehand are what rendering would show."""

import json

import pytest

from flows.cli.entry import PROGRAMS, program_named
from flows.cli.freeze_help import rendered
from flows.cli.help_pages import PAGES, help_page
from flows.cli.main import main


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_screens_are_those_of_the_commands() -> None:
    # When this is what you want: python -m flows.cli.freeze_help
    assert json.loads(PAGES.read_text()) == rendered()


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_of_a_program_is_the_same_with_and_without_them(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(program_named(program), ["--help"]) == 0
    assert help_page(program, ["--help"]) == help_page(program, ["-h"]) == capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [[], ["sft"], ["sft", "--help-all"], ["sft", "--gpus", "--help"], ["sfd", "--help"]],
    ids=" ".join,
)
def test_other_words_are_left_to_the_program(words: list[str]) -> None:
    assert help_page("os-train", words) is None


def test_a_narrow_terminal_is_left_to_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert help_page("os-train", ["sft", "--help"]) is None
