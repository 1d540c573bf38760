"""Messages that name a section of README name one that is there."""

import ast
from pathlib import Path

from opensloth_core.readme import DEPLOYMENTS, more_in_readme

ROOT = Path(__file__).parents[2]


def stories() -> set[tuple[str, str]]:
    """Every file and section that a message of ours names."""
    found = set()
    for package in ("flows", "tasks", "opensloth_core"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "more_in_readme":
                    section = node.args[0]
                    assert isinstance(section, ast.Constant), f"{path}: name the section itself"
                    assert len(node.args) == 1 or getattr(node.args[1], "id", "") == "DEPLOYMENTS", path
                    found.add(("README" if len(node.args) == 1 else DEPLOYMENTS, str(section.value)))
    return found


def test_every_section_that_a_message_names_is_there() -> None:
    named = stories()
    assert len(named) >= 8
    for file, section in named:
        headings = [
            line.lstrip("# ") for line in (ROOT / f"{file}.md").read_text().splitlines() if line[:1] == "#"
        ]
        assert section in headings, f"{file}: no section {section}"


def test_a_story_ends_a_message() -> None:
    assert more_in_readme("Rewards") == " (README: Rewards)"
    assert (
        more_in_readme("What such runs may do", DEPLOYMENTS) == " (deployments/README: What such runs may do)"
    )
