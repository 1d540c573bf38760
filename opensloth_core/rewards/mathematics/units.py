"""What stands after a number: a unit that counts, a unit that converts, a scale, or just words."""

import re
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """A measure: so many of its dimension's first unit. Words that are no measure have no dimension."""

    dimension: tuple[tuple[str, int], ...]
    """What is measured with its power, sorted: a speed is length to the 1 and time to the -1."""

    factor: Fraction

    def to(self, power: int) -> "Unit":
        """`cm^2` of `cm`."""
        return Unit(tuple((name, own * power) for name, own in self.dimension), self.factor**power)

    def per(self, other: "Unit") -> "Unit":
        """`km/h` of `km` and `h`."""
        powers = dict(self.dimension)
        for name, power in other.dimension:
            powers[name] = powers.get(name, 0) - power
        dimension = tuple(sorted((name, power) for name, power in powers.items() if power))
        return Unit(dimension, self.factor / other.factor)


NO_UNIT = Unit((), Fraction(1))

SCALES = {
    "hundred": 100, "thousand": 10**3, "k": 10**3, "million": 10**6, "mn": 10**6, "billion": 10**9,
    "bn": 10**9, "trillion": 10**12, "m": 10**6, "b": 10**9,
}  # fmt: skip
"""`m` and `b` are scales only of money."""

_UNITS = {
    "length": {
        "m meter meters metre metres": "1", "km kilometer kilometers kilometre kilometres": "1000",
        "cm centimeter centimeters centimetre centimetres": "1/100",
        "mm millimeter millimeters millimetre millimetres": "1/1000",
        "in inch inches": "127/5000", "ft foot feet": "381/1250", "yd yard yards": "1143/1250",
        "mi mile miles": "201168/125",
    },
    "mass": {
        "kg kilogram kilograms kilo kilos": "1", "g gram grams": "1/1000",
        "mg milligram milligrams": "1/1000000",
        "lb lbs pound pounds": "45359237/100000000", "oz ounce ounces": "45359237/1600000000",
    },
    "time": {
        "s sec secs second seconds": "1", "min mins minute minutes": "60", "h hr hrs hour hours": "3600",
        "day days": "86400", "week weeks": "604800",
    },
    "dollars": {"dollar dollars usd buck bucks": "1", "cent cents": "1/100"},
    "euros": {"euro euros eur": "1"},
    "angle": {"degree degrees deg": "1"},
}  # fmt: skip
_BY_WORD = {
    word: Unit(((dimension, 1),), Fraction(factor))
    for dimension, units in _UNITS.items()
    for words, factor in units.items()
    for word in words.split()
}
_BY_WORD |= {
    word: Unit((("length", 3),), Fraction(factor))
    for words, factor in {
        "l liter liters litre litres": "1/1000",
        "ml milliliter milliliters millilitre millilitres": "1/1000000",
    }.items()
    for word in words.split()
} | {
    word: _BY_WORD[length].per(_BY_WORD[time])
    for words, length, time in (("mph", "mi", "h"), ("kph kmh kmph", "km", "h"), ("mps", "m", "s"))
    for word in words.split()
}
CURRENCY_UNITS = {"\ue000": _BY_WORD["dollars"], "€": _BY_WORD["euros"]}

_WORDS = re.compile(r"[^\W\d_](?:[\w.'’/()\s-]*[\w.)'’])?", re.UNICODE)  # noqa: RUF001
_POWER = re.compile(r"\s*\^\s*(?:\{\s*-?[1-4]\s*\}|-?[1-4])")
_SINGLE = frozenset("msghlL")
"""Letters that are units even right after a number; any other is a variable."""
_BLOCKING = frozenset((
    "or", "and", "to", "not", "times", "plus", "minus", "than", "pi", "sqrt", "sin", "cos", "tan", "log",
    "ln", "exp", "mod", "if", "half", "halves", "quarter", "quarters", "third", "thirds", "infinity", "over",
    "divided", "percent", "choose", "is", "equals", "squared", "cubed", "but", "between",
))  # fmt: skip
_UNIT_WORDS = frozenset(("square", "cubic", "sq", "cu", "unit", "units", "radians", "rad", "per", "each"))
_MAX_WORDS = 8
TERM = r"(?:(?:square|sq|cubic|cu)\.?\s+)?[^\W\d_]+(?:\s*\^\s*(?:\{\s*-?[1-4]\s*\}|-?[1-4]))?"
"""One unit: `cm`, `cm^2`, `square centimeters`."""
PER = r"(?:\s*/\s*|\s+(?:per|an?|each|every)\s+)"
"""What stands between the units of a rate."""
_MEASURE = re.compile(rf"({TERM})(?:{PER}({TERM}))?\.?", re.IGNORECASE)
_TERM_PARTS = re.compile(
    r"(?:(?P<shape>square|sq|cubic|cu)\.?\s+)?(?P<word>[^\W\d_]+)(?:\s*\^[\s{]*(?P<power>-?\d)[\s}]*)?"
)
_OF_RATES = frozenset(("length", "mass"))
"""What `per` makes another measure of. `18 dollars` and `18 dollars per day` are one answer to people."""


def read_unit(text: str, is_attached: bool) -> Unit | None:
    """What the words after a number mean for its value; `None` where they make it more than a number.

    Args:
        text: what follows the number and a scale or percent sign.
        is_attached: no space stands between the two, as in `5x`.
    """
    if not text:
        return NO_UNIT
    # `$5/hour` and `5-day` go on with a word; a single letter would be algebra.
    text = re.sub(r"^[/-](?=[a-z]{2})", "", text)
    bare = _POWER.sub("", text)
    if not _WORDS.fullmatch(bare) or bare.count("(") != bare.count(")"):
        return None
    words = re.findall(r"[^\W\d_]+", bare.lower())
    if len(words) > _MAX_WORDS or _BLOCKING & set(words) or re.search(r"\d", bare):
        return None
    if len(words) == 1 and len(words[0]) == 1 and bare not in _SINGLE:
        return None
    return _measure(text)


def _measure(text: str) -> Unit:
    match = _MEASURE.fullmatch(text)
    if not match:
        return NO_UNIT
    top, bottom = _term(match[1]), _term(match[2]) if match[2] else None
    if top is NO_UNIT or bottom is None:
        return top
    is_rate = bottom is not NO_UNIT and top.dimension[0][0] in _OF_RATES
    return top.per(bottom) if is_rate else NO_UNIT


def _term(text: str) -> Unit:
    match = _TERM_PARTS.fullmatch(text.lower())
    unit = _BY_WORD.get(match["word"]) if match else None
    if match is None or unit is None or (match["shape"] and match["power"]):
        return NO_UNIT
    if match["shape"]:
        return unit.to(2 if match["shape"].startswith("sq") else 3)
    return unit.to(int(match["power"] or 1))


def is_unit(words: str) -> bool:
    """Whether words at the end of a formula are a unit rather than a part of it: `cm`, `square units`."""
    text = _POWER.sub("", words).strip().lower()
    parts = text.split()
    return bool(parts) and all(part in _BY_WORD or part in _UNIT_WORDS for part in parts)
