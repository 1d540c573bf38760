"""The one base class of all settings, and how a wrong setting is reported."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from opensloth_core.config.spelling import did_you_mean
from opensloth_core.errors import ConfigError


class Settings(BaseModel):
    """Frozen, strict about names; the docstring under a field is its only documentation."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_switch_for_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` as true, which pydantic would take for the number 1."""
        if isinstance(value, bool) and _is_number(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError("must be a number")
        return value

    @classmethod
    def of(cls, values: Self | Mapping[str, Any]) -> Self:
        """This class's instance for `values`: itself, or validated from a mapping.

        Raises:
            ConfigError: a value is out of bounds, a name is unknown or a required one is missing;
                one line that names every offending field.
        """
        if isinstance(values, cls):
            return values
        try:
            return cls.model_validate(values)
        except ValidationError as err:
            raise ConfigError(describe(err, cls)) from err


def _is_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))


Place = tuple[int | str, ...]
"""Where a setting sits: `("training", "learning_rate")`."""

WORDING = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be finite",
    "string_too_short": "must not be empty",
}
"""Our words for pydantic's kinds of error; the other kinds keep pydantic's."""

_KIND = re.compile(r"literal\[.*\]|constrained-\w+")
"""How pydantic ends the place of an error where a value may be of several kinds."""


def dotted(place: Place) -> str:
    """`training.learning_rate`."""
    return ".".join(map(str, place))


def describe(err: ValidationError, model: type[BaseModel], spell: Callable[[Place], str] = dotted) -> str:
    """One line for a pydantic error: each field, what was given, what is allowed.

    Args:
        spell: how the reader knows a setting, such as the flag it was given by.
    """
    return "; ".join(_describe_one(error, model, spell) for error in _one_a_setting(err))


def _one_a_setting(err: ValidationError) -> list[dict[str, Any]]:
    """The errors, one where a value is none of several kinds; pydantic has one for each kind."""
    found: list[dict[str, Any]] = []
    for one in err.errors():
        place, message = one["loc"], one["msg"].removeprefix("Value error, ")
        message = WORDING.get(one["type"], message.replace("Input should be", "must be"))
        if place and _KIND.fullmatch(str(place[-1])):
            place = place[:-1]
            if found and found[-1]["loc"] == place:
                found[-1]["msg"] += " or " + message.removeprefix("must be ")
                continue
        found.append({**one, "loc": place, "msg": message})
    return found


def _describe_one(error: dict[str, Any], model: type[BaseModel], spell: Callable[[Place], str]) -> str:
    place = spell(error["loc"])
    if error["type"] == "extra_forbidden":
        known = _model_at(model, error["loc"][:-1]).model_fields
        return f"{place}: no such setting; known: {', '.join(known)}"
    if error["type"] == "missing":
        return f"{place}: required"
    message: str = error["msg"]
    if not place:
        return message
    # A rule over several fields has the whole group as its input; its message names the values.
    is_group = isinstance(error["input"], Mapping | BaseModel)
    if is_group:
        return f"{place}: {message}"
    return f"{place}: {message}, got {error['input']!r}{_meant(error)}"


def _meant(error: dict[str, Any]) -> str:
    if error["type"] != "literal_error":
        return ""
    return did_you_mean(str(error["input"]), re.findall(r"'([^']*)'", error["ctx"]["expected"]))


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    for part in place:
        kind = model.model_fields[str(part)].annotation
        assert isinstance(kind, type) and issubclass(kind, BaseModel), f"{part} is no group"
        model = kind
    return model
