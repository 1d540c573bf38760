"""What shells offer when a user presses Tab, in real shells."""

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from flows.cli.completion.tree import nodes
from flows.cli.entry import PROGRAMS, program_named
from flows.cli.main import main
from flows.cli.os_train import METHODS
from opensloth_core.presets.names import PRESETS

SHELLS = ("bash", "zsh", "fish")
TREE = {node.path: node for node in nodes([program_named(name) for name in PROGRAMS])}

OFFERED = {
    "os-train g": {"grpo"},
    "os-train cache ver": {"verify"},
    "os-train cache explain d": {"dpo"},
    "os-train cache explain dpo d.jsonl --be": {"--beta"},
    "os-train sft --overlong ": {"drop", "truncate", "split", "error"},
    "os-train sft -m m --preset mem": {"memory-saver"},
    "os-train sft --config ru": {"run.yaml"},
    "os-train sft tr": {"train.jsonl"},
    "os-train sft --output ou": {"out"},
    "os-train sft --lr ": set(),
    "os-train presets show qua": {"quality"},
    "os-train completion z": {"zsh"},
    "os-train schema s": {"sft"},
    "os-data insp": {"inspect"},
    "os-data tr": {"train.jsonl"},
    "os-data --max-r": {"--max-rejected"},
    "os-data preview tr": {"train.jsonl"},
    "os-sft tr": {"train.jsonl"},
    "os-dpo --be": {"--beta"},
    "/usr/bin/os-train sf": {"sft"},
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return installed(str(request.param))


def installed(shell: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    return shell


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some files, to be completed, and the scripts of all shells."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for name in ("run.yaml", "train.jsonl", "outline.txt"):
        (tmp_path / name).touch()
    for shell in SHELLS:
        assert main(program_named("os-train"), ["completion", shell]) == 0
        (tmp_path / f".{shell}").write_text(capsys.readouterr().out)
    return tmp_path


def in_bash(folder: Path, line: str) -> set[str]:
    words = [*line.split(), *([""] if line.endswith(" ") else [])]
    typed = " ".join(f"'{word}'" for word in words)
    code = f"source .bash; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _opensloth"
    code += "; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(
        ["bash", "--norc", "-c", code], capture_output=True, text=True, cwd=folder, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def in_fish(folder: Path, line: str) -> set[str]:
    code = f"source .fish; complete -C '{line}'"
    environ = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config")}
    done = subprocess.run(
        ["fish", "-c", code], capture_output=True, text=True, cwd=folder, check=True, env=environ
    )
    return {offer.split("\t")[0].rstrip("/") for offer in done.stdout.splitlines()}


@pytest.mark.parametrize("line", OFFERED)
def test_bash_offers_what_may_follow(line: str, script: Path) -> None:
    installed("bash")
    assert in_bash(script, line) == OFFERED[line]


@pytest.mark.parametrize("line", [line for line in OFFERED if not line.startswith("/")])
def test_fish_offers_what_may_follow(line: str, script: Path) -> None:
    installed("fish")
    assert in_fish(script, line) == OFFERED[line]


def test_bash_offers_the_value_after_an_equals_sign_which_it_takes_for_a_word(script: Path) -> None:
    installed("bash")
    assert in_bash(script, "os-train sft --overlong = tr") == {"truncate"}
    assert in_bash(script, "os-train sft --overlong =") == {"drop", "truncate", "split", "error"}


START = {
    "bash": (["bash", "--norc", "-i"], "source .bash"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u -D && source ./.zsh"),
    "fish": (["fish", "--no-config", "-i"], "source .fish"),
}
TYPED = {
    "os-train gr": "grpo",
    "os-train cache explain dp": "dpo",
    "os-train sft --overl": "--overlong",
    "os-train sft --overlong tr": "truncate",
    "os-train sft --overlong=tr": "--overlong=truncate",
    "os-train sft trai": "train.jsonl",
    "os-data insp": "inspect",
}


def test_a_pressed_tab_completes_the_line(shell: str, script: Path) -> None:
    words, source = START[shell]
    environ = {**os.environ, "HOME": str(script), "TERM": "xterm", "PS1": "$ ", "COLUMNS": "200"}
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(script)
        os.execvpe(words[0], words, environ)
    try:
        sent(terminal, f"{source}; echo rea''dy\n", until="ready")
        for line, expected in TYPED.items():
            # The line is not run but printed: Ctrl-A goes to its beginning.
            rest = expected.removeprefix(line.split(" ")[-1])
            sent(terminal, f"{line}\t", until=rest)
            shown = sent(terminal, "\x01echo '<\x05>'\n", until=f"{expected}")
            assert expected in shown
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def sent(terminal: int, keys: str, until: str, seconds: float = 20) -> str:
    """What the terminal shows from the keys being pressed until it shows something."""
    os.write(terminal, keys.encode())
    shown, end = "", time.monotonic() + seconds
    while until not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{until!r} was not shown after {keys!r}: {shown!r}"
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("method", METHODS)
def test_every_flag_and_every_choice_is_offered(method: str) -> None:
    node = TREE[f"os-train {method}"]
    offered = {spelling for option in node.options for spelling in option.spellings}
    assert {s for flag in METHODS[method].flags for s in flag.spellings} <= offered
    assert {"--help", "--help-all"} <= offered
    choices = {option.spellings[-1]: option.choices for option in node.options}
    assert choices["--preset"] == (*PRESETS, "auto")
    assert choices["--finetuning-type"] == ("lora", "qlora", "full")
    assert choices["--batch-size"] == (() if method == "grpo" else ("auto",))
    assert choices["--gpus"] == ("auto",)


def test_settings_that_are_paths_are_completed_as_such() -> None:
    flags = {flag.name: flag for command in METHODS.values() for flag in command.flags}
    assert {name for name, flag in flags.items() if flag.is_path and not flag.is_folder} == {
        "data", "model", "config", "prepared",
    }  # fmt: skip
    assert {name for name, flag in flags.items() if flag.is_folder} == {
        "output",
        "data_output",
        "pretrained_lora",
    }
    assert all(flag.is_path for flag in flags.values() if flag.metavar in ("DIR", "FILE"))
