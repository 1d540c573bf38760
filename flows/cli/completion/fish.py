"""The script for fish."""

from collections.abc import Iterator, Sequence

from flows.cli.completion.tree import Node, Option, programs

_HEAD = """\
# Completion of OpenSloth's programs for fish.
# os-train completion fish > ~/.config/fish/conf.d/opensloth.fish
function __opensloth_at
    # Whether the words typed so far lead to one of the places, and to none further on.
    set -l here ""
    for word in (commandline -opc)
        set -l next (string trim -- "$here "(string replace -r '.*/' '' -- $word))
        contains -- $next $__opensloth_places; or break
        set here $next
    end
    contains -- $here $argv
end
"""


def fish_script(nodes: Sequence[Node]) -> str:
    """The script; it starts no program when a key is pressed."""
    places = " ".join(_quoted(node.path) for node in nodes)
    lines = [_HEAD, f"set -g __opensloth_places {places}"]
    lines += [f"complete -c {program} -f" for program in programs(nodes)]
    for node in nodes:
        lines += _lines(node)
    return "\n".join(lines) + "\n"


def _lines(node: Node) -> Iterator[str]:
    start = f"complete -c {node.path.split()[0]} -n {_quoted('__opensloth_at ' + _quoted(node.path))}"
    if node.takes_path:
        yield f"{start} -F"
    for word in node.words:
        yield f"{start} -a {_quoted(word.text)} -d {_quoted(_brief(word.help))}"
    for option in node.options:
        yield f"{start} {_names(option)} {_value(option)}-d {_quoted(_brief(option.help))}"


def _names(option: Option) -> str:
    return " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.spellings
    )


def _value(option: Option) -> str:
    if not option.takes_value:
        return ""
    choices = f"-a {_quoted(' '.join(option.choices))} " if option.choices else ""
    if option.is_folder:
        return f"-r -f -a '(__fish_complete_directories)' {choices}"
    return f"-r -F {choices}" if option.is_path else f"-x {choices}"


def _brief(help: str) -> str:
    return help.split(". ")[0].split("; ")[0].rstrip(".")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
