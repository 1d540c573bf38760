"""The script for bash."""

from collections.abc import Iterable, Sequence

from flows.cli.completion.tree import Node, Option, programs

_HEAD = """\
# Completion of OpenSloth's programs for bash.  eval "$(os-train completion bash)"
_opensloth_words() {
  case "$1" in
"""

_TAIL = r"""
_opensloth_offer() {
  # $1: words, $2: files, folders or nothing
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "${1// /$'\n'}" -- "$cur"))
  case "$2" in
    files) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$cur"));;
    folders) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$cur"));;
  esac
}

_opensloth() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="" path="${COMP_WORDS[0]##*/}" i word value
  ((COMP_CWORD > 0)) && prev="${COMP_WORDS[COMP_CWORD - 1]}"
  COMPREPLY=()
  # bash takes --flag=value for three words.
  if [[ "$cur" == "=" ]]; then
    cur=""
  elif [[ "$prev" == "=" ]] && ((COMP_CWORD > 1)); then
    prev="${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    [[ -n "$(_opensloth_words "$path $word")" ]] || break
    path="$path $word"
  done
  value="$(_opensloth_value "$path $prev")"
  if [[ -n "$value" ]]; then
    _opensloth_offer "${value#*:}" "${value%%:*}"
  elif [[ "$cur" == -* ]]; then
    _opensloth_offer "$(_opensloth_flags "$path")"
  else
    value="$(_opensloth_words "$path")"
    _opensloth_offer "${value#*:}" "${value%%:*}"
  fi
}
"""


def bash_script(nodes: Sequence[Node]) -> str:
    """The script; it starts no program when a key is pressed."""
    words = [
        _case(node.path, f"{_kind(node.takes_path)}:{_joined(w.text for w in node.words)}") for node in nodes
    ]
    flags = [_case(node.path, _joined(s for o in node.options for s in o.spellings)) for node in nodes]
    values = [
        _case(f"{node.path} {spelling}", _value(option))
        for node in nodes
        for option in node.options
        if option.takes_value
        for spelling in option.spellings
    ]
    middle = '  esac\n}\n\n_opensloth_flags() {\n  case "$1" in\n'
    values_head = '  esac\n}\n\n_opensloth_value() {\n  case "$1" in\n'
    last = f"\ncomplete -F _opensloth {_joined(programs(nodes))}\n"
    parts = [_HEAD, *words, middle, *flags, values_head, *values, "  esac\n}\n", _TAIL, last]
    return "".join(parts)


def _value(option: Option) -> str:
    return f"{_kind(option.is_path, option.is_folder)}:{_joined(option.choices)}"


def _kind(is_path: bool, is_folder: bool = False) -> str:
    return "folders" if is_folder else "files" if is_path else "none"


def _joined(words: Iterable[str]) -> str:
    return " ".join(words)


def _case(pattern: str, text: str) -> str:
    return f"    '{pattern}') echo '{text}';;\n"
