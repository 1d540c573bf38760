"""`os-train completion`."""

from typing import Literal

from flows.cli.command import Command
from opensloth_core.config.base import Settings


class CompletionSettings(Settings):
    """For which shell."""

    shell: Literal["bash", "zsh", "fish"]
    """The shell that reads the script."""


def _run(settings: CompletionSettings) -> int:
    # Imported here: the script is made of all programs, of which this command is a part.
    from flows.cli.cache.answer import answered
    from flows.cli.completion.bash import bash_script
    from flows.cli.completion.fish import fish_script
    from flows.cli.completion.tree import nodes
    from flows.cli.completion.zsh import zsh_script
    from flows.cli.entry import PROGRAMS, program_named

    script = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[settings.shell]

    def printed() -> int:
        print(script(nodes([program_named(name) for name in PROGRAMS])), end="")
        return 0

    return answered("os-train completion", printed)


COMPLETION = Command(
    name="completion",
    summary="Print a script with which bash, zsh or fish complete commands, flags and values.",
    usage="os-train completion bash|zsh|fish",
    description=(
        "Prints a completion script for os-train, os-data, os-sft, os-dpo and os-grpo. To have it in every"
        " new shell: for bash,"
        ' eval "$(os-train completion bash)" in ~/.bashrc; for zsh, eval "$(os-train completion zsh)" in'
        " ~/.zshrc, after compinit; for fish, write it to ~/.config/fish/conf.d/opensloth.fish once."
    ),
    examples=("os-train completion bash", "os-train completion zsh", "os-train completion fish"),
    settings=CompletionSettings,
    configure=CompletionSettings.of,
    run=_run,
    positional="shell",
)
