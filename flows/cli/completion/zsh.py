"""The script for zsh."""

from collections.abc import Sequence

from flows.cli.completion.tree import Node, Option, programs

_HEAD = """\
# Completion of OpenSloth's programs for zsh.  eval "$(os-train completion zsh)"
_opensloth_words() {
  case "$1" in
"""

_TAIL = r"""
_opensloth() {
  local path_here="${words[1]:t}" i prev value kind
  local -a offered
  for ((i = 2; i < CURRENT; i++)); do
    [[ "$path_here" != */* ]] || break
    offered=("${(@f)$(_opensloth_words "$path_here ${words[i]}")}")
    [[ -n "${offered[1]}" ]] || break
    path_here="$path_here ${words[i]}"
  done
  prev="${words[CURRENT - 1]}"
  if [[ "$PREFIX" == --*=* ]]; then
    prev="${PREFIX%%=*}"
    compset -P '*='
  fi
  offered=("${(@f)$(_opensloth_value "$path_here $prev")}")
  if [[ -z "${offered[1]}" ]]; then
    if [[ "$PREFIX" == -* ]]; then
      offered=("${(@f)$(_opensloth_flags "$path_here")}")
      _describe -o flag offered
      return
    fi
    offered=("${(@f)$(_opensloth_words "$path_here")}")
  fi
  kind="${offered[1]}"
  offered=("${(@)offered[2,-1]}")
  [[ $#offered -gt 0 ]] && _describe word offered
  case "$kind" in
    files) _files;;
    folders) _files -/;;
  esac
}
"""


def zsh_script(nodes: Sequence[Node]) -> str:
    """The script; it starts no program when a key is pressed."""
    words = [
        _case(node.path, [_kind(node.takes_path), *(_described(w.text, w.help) for w in node.words)])
        for node in nodes
    ]
    flags = [
        _case(node.path, [_described(s, o.help) for o in node.options for s in o.spellings]) for node in nodes
    ]
    values = [
        _case(f"{node.path} {spelling}", _value(option))
        for node in nodes
        for option in node.options
        if option.takes_value
        for spelling in option.spellings
    ]
    flags_head = '  esac\n}\n\n_opensloth_flags() {\n  case "$1" in\n'
    values_head = '  esac\n}\n\n_opensloth_value() {\n  case "$1" in\n'
    names = " ".join(programs(nodes))
    first, last = f"#compdef {names}\n", f"\ncompdef _opensloth {names}\n"
    parts = [first, _HEAD, *words, flags_head, *flags, values_head, *values, "  esac\n}\n", _TAIL, last]
    return "".join(parts)


def _value(option: Option) -> list[str]:
    return [_kind(option.is_path, option.is_folder), *option.choices]


def _kind(is_path: bool, is_folder: bool = False) -> str:
    return "folders" if is_folder else "files" if is_path else "none"


def _described(word: str, help: str) -> str:
    first = help.split(". ")[0].split("; ")[0].split(": ")[0].rstrip(".")
    return f"{word}:{first}"


def _case(pattern: str, lines: Sequence[str]) -> str:
    quoted = " ".join("'" + line.replace("'", "'\\''") + "'" for line in lines)
    return f"    '{pattern}') print -rl -- {quoted};;\n"
