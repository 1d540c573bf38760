"""The many ways to write one thing, as one."""

import re

_CHARACTERS = str.maketrans(
    {
        "\u2212": "-", "\u2010": "-", "\u2011": "-", "\ufe63": "-", "\uff0d": "-",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200a": " ", "\u2002": " ", "\u2003": " ",
        "\u200b": "", "\ufeff": "",
        "\u00d7": r"\times ", "\u00f7": "/", "\u22c5": r"\cdot ", "\u00b7": r"\cdot ", "\u2044": "/",
        "\u03c0": r"\pi ", "\u221a": r"\sqrt ", "\u221e": r"\infty ", "\u00b1": r"\pm ",
        "\u2264": r"\le ", "\u2265": r"\ge ", "\u2260": r"\ne ", "\u2248": r"\approx ",
        "\u222a": r"\cup ", "\u2229": r"\cap ", "\u03b8": r"\theta ", "\u00b0": r"^\circ ",
        "\u2070": "^0", "\u00b9": "^1", "\u00b2": "^2", "\u00b3": "^3", "\u2074": "^4", "\u2075": "^5",
        "\u2076": "^6", "\u2077": "^7", "\u2078": "^8", "\u2079": "^9",
        "\u00bd": " 1/2 ", "\u00bc": " 1/4 ", "\u00be": " 3/4 ", "\u2153": " 1/3 ", "\u2154": " 2/3 ",
        "\u215b": " 1/8 ", "\uff05": "%", "\uff0c": ",", "\u3002": ".", "\uff1d": "=", "\uff1a": ":",
    }
)  # fmt: skip
_FULL_WIDTH_DIGITS = {0xFF10 + digit: str(digit) for digit in range(10)}

_REPLACEMENTS = [
    (re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])\.?"), ""),
    (re.compile(r"\\(?:displaystyle|textstyle|limits|nolimits)(?![a-zA-Z])"), ""),
    (re.compile(r"\\(?:q?quad)(?![a-zA-Z])|(?<!\\)\\[,;:> ]|(?<!\\)~"), " "),
    (re.compile(r"(?<!\\)\\!"), ""),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:leq|leqslant|le)(?![a-zA-Z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant|ge)(?![a-zA-Z])"), r"\\ge"),
    (re.compile(r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![a-zA-Z])"), " degrees "),
    (re.compile(r"\{\s*,\s*\}"), ","),
    (re.compile(r"\\varnothing(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"\\\(|\\\)|\\\[(?![0-9.]+(?:pt|em|ex))|\\\]"), " "),
    (re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|mathit|operatorname|boldsymbol)\s*"
                r"\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"(?<![\w*])\*\*(?=\S)|(?<=\S)\*\*(?![\w*(\\-])|__|`"), ""),
]  # fmt: skip
_REPEATING = re.compile(r"(\d{0,9})\.(\d{0,9})\\(?:overline|bar|dot)\s*\{?(\d{1,9})\}?")
_DOLLAR_AMOUNT = re.compile(r"(?:\\\$|(?<!\w)\$)(?=\s?[-+]?\s?\.?\d)")
_MATH = re.compile(r"(?<!\\)\$\$?(?!\s?$)((?:\\.|[^$\\])+)(?<!\\)\$\$?", re.DOTALL)
_ENDS = " \t\n.,;:!?\"'“”‘’*"  # noqa: RUF001
CURRENCY = "\ue000"
"""Stands for a dollar sign that is money, once those that delimit LaTeX are gone."""


def plain(answer: str) -> str:
    """The answer in one notation: no LaTeX delimiters, spacing and fonts, no Markdown, one kind of minus.

    Dollar signs that mean money come out as `CURRENCY`.
    """
    text = answer.translate(_CHARACTERS).translate(_FULL_WIDTH_DIGITS)
    text = _without_dollars(text)
    text = _REPEATING.sub(_fraction, text)
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return _trimmed(text)


def _without_dollars(text: str) -> str:
    text = _MATH.sub(lambda match: f" {match[1]} " if _is_math(match) else match[0], text)
    return _DOLLAR_AMOUNT.sub(CURRENCY, text).replace("\\$", CURRENCY).replace("$", " ")


def _fraction(match: re.Match[str]) -> str:
    """A repeating decimal as the fraction it is: 0.1(6) is (16 - 1) / 90."""
    whole, fixed, repeated = match.groups()
    top = int(f"{whole}{fixed}{repeated}") - int(f"{whole}{fixed}" or "0")
    return rf"\frac{{{top}}}{{{'9' * len(repeated)}{'0' * len(fixed)}}}"


def _is_math(match: re.Match[str]) -> bool:
    """`$x$` is math, `$5 and $` is not: no space stands inside the signs, no digit right after them."""
    if match[0].startswith("$$"):
        return True
    content, after = match[1], match.string[match.end() : match.end() + 1]
    is_spaced = content[0].isspace() or content[-1].isspace()
    return (not is_spaced or not re.match(r"\s*\d", content)) and not after.isdigit()


def _trimmed(text: str) -> str:
    """Without the punctuation around it; a decimal point and a factorial belong to the answer."""
    text = text.strip()
    while True:
        start = text.lstrip(" \t\n,;:!?\"'“”‘’")  # noqa: RUF001
        if re.match(r"\.(?!\d)", start):
            start = start[1:]
        end = start.rstrip(_ENDS.replace("!", ""))
        end = re.sub(r"(?<![\w)\]}])!+$", "", end)
        if end.endswith("\\"):
            end = end[:-1]
        if end == text:
            return text
        text = end
