"""What the user probably meant."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    """`; did you mean --epochs?` where a known word is close, else nothing."""
    meant = closest(word, known, cutoff)
    return f"; did you mean {meant}?" if meant else ""


def closest(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known word that is spelt most like one, if one is close."""
    # Imported here: most words are spelt right.
    from difflib import get_close_matches

    # Compared without the dashes before a flag, which would make any two short flags look alike.
    bare = {_bare(spelling): spelling for spelling in known}
    meant = _bare(word)
    close = get_close_matches(meant, bare, n=1, cutoff=cutoff) if len(meant) > 1 else []
    return bare[close[0]] if close else None


def _bare(word: str) -> str:
    return word.lstrip("-").replace("_", "-").lower()
