"""Text whose invisible characters can be seen, and which cannot steer a terminal."""

import unicodedata

NEWLINE = "⏎"
_NAMED = {"\n": f"{NEWLINE}\n", "\t": "⇥", "\x7f": "␡"}
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def visible(text: str) -> str:
    """The text with newlines as `⏎` and a line break, and other invisible characters by their signs.

    Control characters become their pictures (`␛`), the rest of the invisible ones `⟨U+200B⟩`.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if character < " ":
        return chr(0x2400 + ord(character))
    if unicodedata.category(character) in _INVISIBLE:
        return f"⟨U+{ord(character):04X}⟩"
    return character
