"""Rewards of the user's own: where they may be, and what they must give."""

import math
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError, DataError, TrainingError
from opensloth_core.rewards.registry import find_reward
from tests.opensloth_core.rewards.made_completions import completions_of

SOURCE = '''
from dataclasses import dataclass

def short(completions):
    """1 for short ones.

    More words.
    """
    return [float(len(text) < 5) for text in completions.texts]

@dataclass
class Best:
    value: int

NOT_A_FUNCTION = 3
'''


@pytest.fixture
def folder(home: Path) -> Path:
    folder = home / "rewards"
    folder.mkdir(parents=True)
    return folder


def reward_of(folder: Path, body: str) -> list[float | None]:
    (folder / "mine.py").write_text(f"import math\ndef score(completions):\n    {body}\n")
    return find_reward("mine:score").score(completions_of(["a", "b"]))


def test_a_function_in_the_home_s_folder_scores(folder: Path) -> None:
    (folder / "mine.py").write_text(SOURCE)
    reward = find_reward("mine:short")
    assert reward.name == "mine:short"
    assert reward.description == "1 for short ones."
    assert reward.score(completions_of(["abc", "abcdef"])) == [1.0, 0.0]


def test_a_module_may_be_in_a_subfolder(folder: Path) -> None:
    (folder / "team" / "style").mkdir(parents=True)
    (folder / "team" / "style" / "mine.py").write_text(SOURCE)
    assert find_reward("team.style.mine:short").score(completions_of(["abc"])) == [1.0]


def test_a_file_that_changed_is_read_again(folder: Path) -> None:
    assert reward_of(folder, "return [1, 2]") == [1.0, 2.0]
    assert reward_of(folder, "return [3, 4.5]") == [3.0, 4.5]


def test_an_allowed_module_scores(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "corp_rewards_for_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "mine.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(package.parent))
    name = "corp_rewards_for_a_test.mine:short"
    with pytest.raises(ConfigError) as caught:
        find_reward(name)
    assert str(caught.value) == (
        f"reward {name}: the module corp_rewards_for_a_test.mine is not allowed to score; put it at "
        f"{folder}/corp_rewards_for_a_test/mine.py, or set "
        "OPENSLOTH_REWARD_MODULES=corp_rewards_for_a_test.mine (README: Rewards)"
    )
    for allowed in (
        "corp_rewards_for_a_test",
        "other, corp_rewards_for_a_test.mine",
        "corp_rewards_for_a_test.",
    ):
        monkeypatch.setenv("OPENSLOTH_REWARD_MODULES", allowed)
        assert find_reward(name).score(completions_of(["abc"])) == [1.0]
    for refused in ("", ",", "corp", "corp_rewards_for_a_tes", "corp_rewards_for_a_test.min", "other"):
        monkeypatch.setenv("OPENSLOTH_REWARD_MODULES", refused)
        with pytest.raises(ConfigError, match="is not allowed to score"):
            find_reward(name)


@pytest.mark.parametrize(
    "name",
    ["os:system", "subprocess:run", "builtins:eval", "shutil:rmtree", "opensloth_core.rewards.user:Path"],
)
@pytest.mark.usefixtures("folder")
def test_other_modules_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not allowed to score; put it at"):
        find_reward(name)


@pytest.mark.parametrize(
    "name",
    ["../evil:f", "..evil:f", ".evil:f", "a/../../evil:f", "/etc/passwd:f", "a..b:f", "a:b.c", "a:b:c", ":f",
     "a:", "a b:f", "a:f()", "a\x00b:f", "a:__import__('os')", "a\\b:f"],
)  # fmt: skip
def test_names_that_are_no_module_and_function_are_refused(folder: Path, name: str) -> None:
    (folder.parent / "evil.py").write_text(SOURCE.replace("short", "f"))
    with pytest.raises(ConfigError, match=r"must be package\.module:function"):
        find_reward(name)


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, is_folder: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.py").write_text("raise SystemExit('it ran')")
    if is_folder:
        (folder / "linked").symlink_to(outside)
    else:
        (folder / "linked").mkdir()
        (folder / "linked" / "mine.py").symlink_to(outside / "mine.py")
    with pytest.raises(
        ConfigError, match=f"leads out of .*, to {outside}/mine.py; put the file itself there"
    ):
        find_reward("linked.mine:short")


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "mine.py").write_text(SOURCE)
    (folder / "alias.py").symlink_to(folder / "mine.py")
    assert find_reward("alias:short").score(completions_of(["abc"])) == [1.0]


def test_a_file_does_not_replace_a_module_of_python_s(folder: Path) -> None:
    (folder / "math.py").write_text("def score(completions):\n    return [7.0]\n")
    assert find_reward("math:score").score(completions_of(["a"])) == [7.0]
    assert math.sqrt(4) == 2


@pytest.mark.parametrize("name", ["mine:missing", "mine:NOT_A_FUNCTION"])
def test_a_function_that_is_not_there_is_named(folder: Path, name: str) -> None:
    (folder / "mine.py").write_text(SOURCE)
    with pytest.raises(ConfigError, match=rf"reward {name}: .*mine\.py has no function {name[5:]}"):
        find_reward(name)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(mine.py:1\)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_file_that_does_not_import_is_named_with_why(folder: Path, source: str, message: str) -> None:
    (folder / "mine.py").write_text(source)
    with pytest.raises(
        ConfigError, match=rf"reward mine:f: .*mine\.py cannot be imported: {message}"
    ) as caught:
        find_reward("mine:f")
    assert "\n" not in str(caught.value)


def test_numbers_of_any_kind_are_taken(folder: Path) -> None:
    assert reward_of(folder, "return (True, 0.5)") == [1.0, 0.5]
    assert reward_of(folder, "import numpy; return numpy.array([1, 2])") == [1.0, 2.0]
    assert reward_of(folder, "return [None, 2]") == [None, 2.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [1.0]", "gave 1 scores for 2 completions; must give one for each"),
        ("return [1.0] * 3", "gave 3 scores for 2 completions"),
        ("return None", "gave None; must give a list with a number a completion"),
        ("return 1.0", "gave 1.0; must give a list"),
        ("return 'ab'", "gave 'ab'; must give a list"),
        ("return {'a': 1, 'b': 2}", "gave {'a': 1, 'b': 2}; must give a list"),
        ("return [1.0, math.nan]", "gave nan for completion 1; must be a finite number"),
        ("return [math.inf, 1.0]", "gave inf for completion 0; must be a finite number"),
        ("return ['1', '2']", "gave '1' for completion 0; must be a finite number"),
        ("return [[1], [2]]", r"gave \[1\] for completion 0"),
        ("return 1 / 0", r"ZeroDivisionError: division by zero \(mine.py:3\)"),
        ("raise ValueError('line one\\nline two')", r"ValueError: line one line two \(mine.py:3\)"),
        ("return completions.columns['answer']", "KeyError: 'answer'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_wrong_result_or_an_exception_is_one_line_that_names_the_function(
    folder: Path, body: str, message: str
) -> None:
    with pytest.raises(TrainingError, match=rf"^reward mine:score: {message}") as caught:
        reward_of(folder, body)
    assert "\n" not in str(caught.value)


def test_an_error_of_ours_passes_as_it_is(folder: Path) -> None:
    body = "from opensloth_core.errors import DataError; raise DataError('row 7')"
    with pytest.raises(DataError, match=r"^row 7$"):
        reward_of(folder, body)
