"""The form of each deployment as Prefect makes it, and what its page and its server do with one."""

import functools
from typing import Any

from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate

from flows.finetune import FLOWS
from flows.form import FormFlow
from flows.prepare import prepare_data
from flows.retrain import retrain

FLOW: dict[str, FormFlow] = {**FLOWS, "data": prepare_data}
FORM_OF: dict[str, Flow[..., Any]] = {**FLOW, "retrain": retrain}
LEAST = {"data": "some.jsonl", "model": "some-model"}
RETRAINED = {"name": "my-bot", **LEAST}


@functools.cache
def schema_of(name: str) -> dict[str, Any]:
    return parameter_schema(FORM_OF[name]).model_dump_for_openapi()


def refusal(form: str, **values: Any) -> str | None:
    """Why the server does not take these parameters, None where it does."""
    least = LEAST if form != "retrain" else RETRAINED
    try:
        validate({**least, **values}, schema_of(form), raise_on_error=True)
    except ValidationError as err:
        return str(err)
    return None


def untouched(properties: dict[str, Any]) -> dict[str, Any]:
    """What the page submits of a form in which nothing is changed: defaults, and off for each switch."""
    values: dict[str, Any] = {}
    for name, described in properties.items():
        if "properties" in described:
            values[name] = untouched(described["properties"])
        elif "default" in described or described.get("type") == "boolean":
            values[name] = described.get("default", False)
    return values


def leaves(properties: dict[str, Any]) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    return [
        ((name, *path), leaf)
        for name, described in properties.items()
        for path, leaf in (
            leaves(described["properties"]) if "properties" in described else [((), described)]
        )
    ]


def groups(properties: dict[str, Any]) -> list[dict[str, Any]]:
    found = [one for one in properties.values() if "properties" in one]
    return found + [inner for one in found for inner in groups(one["properties"])]
