"""README and deployments say what is really there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint

from flows.cli.entry import PROGRAMS as SCRIPTS
from flows.cli.entry import program_named
from flows.cli.main import main
from flows.cli.parser import parse_flags
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.named import named_run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


PROGRAMS = {name: program_named(name) for name in SCRIPTS}
RUNS = ("sft-embedded-my_data-20261123-101500-a1b2", "sft-gemma-3-4b-it-my_data-20261123-111500-c3d4")
"""Those that README names, in one way or another."""


def commands() -> list[str]:
    """Every command line of our programs in README's code blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    found = [match for block in blocks for match in re.findall(r"os-(?:train|data|sft|dpo|grpo) .*", block)]
    assert len(found) >= 5
    return found


@pytest.mark.parametrize("command", commands())
def test_readme_commands_parse(
    command: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(README.split("```yaml\n")[1].split("```")[0])
    for name in RUNS:
        run = RunDirectory.create(OpenSlothConfig.of({"data": "my_data.jsonl", "model": "m"}))
        run.adapter_dir.mkdir()
        run.path.rename(home / "runs" / name)
    program, *words = command.split("#")[0].split()
    if words[0] in ("demo", "selftest", "server", "runs", "models", "repro", "export", "chat"):
        group = PROGRAMS[program].groups.get(words[0])
        called = group.commands[words.pop(1)] if group else PROGRAMS[program].commands[words[0]]
        settings = called.configure(parse_flags(called.flags, words[1:]))
        for which in [*getattr(settings, "runs", ()), *filter(None, [getattr(settings, "run", None)])]:
            assert named_run(which).path.name in RUNS
        return
    # Files and prepared data are the reader's own: that they are missing is all there is to say.
    assert main(PROGRAMS[program], words) == 2
    err = capsys.readouterr().err
    assert re.search(r"(my_data.jsonl: no such file|\(nothing is prepared yet\))\n?", err), err


def test_what_readme_shows_commands_to_print_is_what_they_print(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = re.findall(r"```\n\$ (os-(?:train|data)) (presets.*|.*--help.*)\n([^`]*)```", README)
    assert shown
    for program, words, text in shown:
        assert main(PROGRAMS[program], words.split()) == 0
        assert capsys.readouterr().out == text


def test_readme_shows_every_data_setting_that_has_a_choice() -> None:
    for flag in (
        "--map",
        "--split",
        "--samples",
        "--samples-from",
        "--eval-size",
        "--overlong",
        "--train-on",
    ):
        assert f"`{flag} " in README, flag


def test_readme_shows_two_set_up_commands_and_ci_runs_the_second() -> None:
    setup = README.split("## Set-up")[1].split("\n## ")[0]
    assert re.findall(r"```bash\n(.*?)\n```", setup, re.DOTALL) == [
        "pip install uv && uv run --extra demo os-train demo",
        "uv run pytest",
    ]
    pattern = re.search(r"sed -nE '(.*?)' README.md", (ROOT / ".ci" / "run").read_text())
    assert pattern
    found = subprocess.run(
        ["sed", "-nE", pattern[1], ROOT / "README.md"], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["uv run pytest"]


def test_the_tree_in_readme_exists_and_nothing_else_is_at_the_top() -> None:
    tree = README.split("## The tree")[1].split("```")[1]
    folder = ROOT
    for line in tree.strip("\n").splitlines():
        name = line.split()[0]
        folder = ROOT / name if not line.startswith(" ") else folder
        assert (folder if not line.startswith(" ") else folder / name).exists(), line
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    top = {path.split("/")[0] for path in tracked if not path.startswith(".")}
    assert top <= {
        "LICENSE", "README.md", "deployments", "flows", "opensloth_core", "pyproject.toml", "tasks", "tests",
    }  # fmt: skip


def test_every_deployment_names_a_flow() -> None:
    deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    assert deployments
    for deployment in deployments:
        assert isinstance(load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"])), Flow)


def test_the_python_example_of_readme_uses_public_names() -> None:
    example = README.split("```python\n")[1].split("```")[0]
    imported = [line for line in example.splitlines() if line.startswith("from opensloth_core")]
    assert imported
    subprocess.run([sys.executable, "-c", "\n".join(imported)], check=True, cwd=ROOT)
