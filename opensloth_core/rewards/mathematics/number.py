"""Numbers as people write them, read exactly."""

import re
from dataclasses import dataclass
from fractions import Fraction

from opensloth_core.rewards.mathematics.units import CURRENCY_UNITS, NO_UNIT, SCALES, Unit, read_unit

_INTEGER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:[ ]\d{3})+(?!\d)|\d+)"
DECIMAL = rf"(?:{_INTEGER}(?:\.\d+)?|\.\d+)"
_TOP = rf"(?:\{{\s*(?P<top>-?{DECIMAL})\s*\}}|(?P<top1>\d))"
_BOTTOM = rf"(?:\{{\s*(?P<bottom>-?{DECIMAL})\s*\}}|(?P<bottom1>\d))"
_LATEX_FRACTION = rf"\\frac\s*{_TOP}\s*{_BOTTOM}"
_NUMBER = re.compile(
    rf"""
    (?:(?P<name>[A-Za-z][A-Za-z]?(?:_\{{?\w+\}}?)?)\s*=\s*)?
    (?:\\approx\s*|approximately\s+|about\s+|roughly\s+|only\s+|exactly\s+)?
    (?P<sign>[-+])?\s*
    (?:(?P<currency>[\ue000€£¥₹])|US\ue000|USD|Rs\.?)?\s*(?P<sign2>[-+])?
    (?:
        (?:(?P<whole>{_INTEGER})(?:\s+and\s+|\s+|\s*(?=\\frac)))?
        (?:{_LATEX_FRACTION}|\(?(?P<over>{DECIMAL})\s*/\s*(?P<under>{DECIMAL})\)?)
      | (?P<mantissa>{DECIMAL})
        (?:[eE](?P<e>[-+]?\d+)
         |\s*(?:\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*\{{?\s*(?P<ten>[-+]?\d+)\s*\}}?)?
      | (?P<word>[A-Za-z]+(?:-[a-z]+)?)
    )
    (?P<space>\s*)
    (?P<percent>\\?%|per\ ?cent\b|pct\b)?
    (?P<rest>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_MONEY_SCALE = re.compile(rf"\s*({'|'.join(SCALES)})(?![\w^])\s*", re.IGNORECASE)
_SCALE = re.compile(
    rf"\s*({'|'.join(word for word in SCALES if word not in 'mb')})(?![\w^])\s*", re.IGNORECASE
)
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
MAX_DIGITS = 400
"""A longer number is compared as text; converting it would take quadratic time."""
_MAX_EXPONENT = 400
_ROUNDED_DIGITS, _ROUNDED_PLACES = 6, 4


@dataclass(frozen=True, slots=True)
class Number:
    """A number with what was written around it.

    Attributes:
        value: exact, before the unit; `5%` is 5.
        unit: `NO_UNIT` where there are no words, or words that are no measure.
        is_percent: a percent sign follows.
        name: `x` of `x = 5`.
        places: digits after the decimal point, where there are at least four, and six digits that
            count in all, so that it may stand for the fraction it was rounded from.
    """

    value: Fraction
    unit: Unit
    is_percent: bool
    name: str | None
    places: int | None


def read_number(text: str) -> Number | None:
    """The number that all of `text` is (in `plain` notation), with a unit or words after it; else `None`."""
    match = _NUMBER.fullmatch(text)
    if not match or sum(map(str.isdigit, text)) > MAX_DIGITS or (match["sign"] and match["sign2"]):
        return None
    value = _value(match)
    if value is None:
        return None
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    rest = match["rest"]
    is_attached = not match["space"]
    scale = None if match["percent"] else (_MONEY_SCALE if match["currency"] else _SCALE).match(rest)
    if scale:
        value *= SCALES[scale[1].lower()]
        rest, is_attached = rest[scale.end() :], False
    unit = read_unit(rest.strip(), is_attached)
    if unit is None or (match["word"] and is_attached and rest):
        return None
    if match["currency"]:
        unit = CURRENCY_UNITS.get(match["currency"], unit)
    return Number(value, unit, bool(match["percent"]), match["name"], _places(match))


def equal_numbers(reference: Number, answer: Number) -> bool:
    """Whether two numbers are the same amount.

    Exactly, or where one is a decimal of at least six significant digits and four places, as that
    decimal rounds the other. A unit counts where both have one of the same kind (1 km is 1000 m); two
    that measure different things differ; where one side has none it is not looked at. `50%` is `0.5`,
    and is `50` as well, since people leave the sign out or put it in.
    """
    if reference.name and answer.name and reference.name != answer.name:
        return False
    if reference.unit is not NO_UNIT and answer.unit is not NO_UNIT:
        if reference.unit.dimension != answer.unit.dimension:
            return False
        if reference.unit.factor != answer.unit.factor:
            return reference.value * reference.unit.factor == answer.value * answer.unit.factor
    if _equal(reference.value, reference.places, answer.value, answer.places):
        return True
    if reference.is_percent == answer.is_percent:
        return False
    percent, other = (reference, answer) if reference.is_percent else (answer, reference)
    places = None if percent.places is None else percent.places + 2
    return _equal(percent.value / 100, places, other.value, other.places)


def _equal(a: Fraction, a_places: int | None, b: Fraction, b_places: int | None) -> bool:
    if a == b:
        return True
    # Of two rounded decimals the one with fewer places says how far they can agree.
    places = min((places for places in (a_places, b_places) if places is not None), default=None)
    return places is not None and abs(a - b) <= Fraction(1, 2) / Fraction(10) ** places


def _value(match: re.Match[str]) -> Fraction | None:
    if match["word"]:
        tens, _, ones = match["word"].lower().partition("-")
        if tens not in _WORDS or (ones and (tens not in _TENS or ones not in _ONES[1:10])):
            return None
        return Fraction(_WORDS[tens] + _WORDS.get(ones, 0))
    if match["mantissa"]:
        exponent = int(match["e"] or match["ten"] or 0)
        if abs(exponent) > _MAX_EXPONENT:
            return None
        return _decimal(match["mantissa"]) * Fraction(10) ** exponent
    top = _decimal(match["top"] or match["top1"] or match["over"])
    bottom = _decimal(match["bottom"] or match["bottom1"] or match["under"])
    if bottom == 0:
        return None
    whole = _decimal(match["whole"]) if match["whole"] else Fraction(0)
    return whole + top / bottom


def _decimal(text: str) -> Fraction:
    return Fraction(text.replace(",", "").replace(" ", ""))


def _places(match: re.Match[str]) -> int | None:
    mantissa = match["mantissa"]
    if not mantissa or "." not in mantissa:
        return None
    num_places = len(mantissa.rpartition(".")[2])
    num_digits = len(re.sub(r"[,. ]", "", mantissa).lstrip("0"))
    if num_digits < _ROUNDED_DIGITS or num_places < _ROUNDED_PLACES:
        return None
    return num_places - int(match["e"] or match["ten"] or 0)
