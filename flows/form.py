"""Flows whose parameters are a form: the settings of one method, as the web page asks for them.

A flow's signature is its form in Prefect's page. Such a flow has three: the function takes a configuration,
and so does who calls the flow from Python; deployments show a signature generated from the settings' models;
and the engine gets one without types, since what is wrong is said in the words of the command line.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from prefect import Flow, State, runtime
from pydantic import Field, WithJsonSchema
from pydantic_core import MISSING

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.form.schema import Driving, Schema, parameters_schema, required
from opensloth_core.config.form.values import FORMS, Form
from opensloth_core.errors import ConfigError
from tasks.failed import failed

RUN_DIR = "run_dir"
"""The parameter that no form shows: the directory that the command line opened."""

Function = TypeVar("Function", bound=Callable[..., Any])
Started = Callable[..., Coroutine[Any, Any, Path | State]]


def form_flow(form: str, name: str, title: Callable[[Any], str]) -> Callable[[Started], "FormFlow"]:
    """Makes a flow of a function of a configuration, `run_dir` and, for training, `resume` and `allow_drift`.

    Args:
        form: whose settings are asked for, see `FORMS`.
        name: the flow's name.
        title: what a run of a configuration is called.
    """
    return lambda started: FormFlow(started, FORMS[form], name, title)


class FormFlow(Flow[..., Coroutine[Any, Any, Path | State]]):
    """A flow that deployments start with the values of a form, and Python code with a configuration."""

    def __init__(self, started: Started, form: Form, name: str, title: Callable[[Any], str]) -> None:
        async def entry(**given: Any) -> Path | State:
            try:
                config, driving = _read(form, given)
            except ConfigError as err:
                return failed(err, None)
            run_dir = given.get(RUN_DIR)
            return await started(config, run_dir=Path(run_dir) if run_dir else None, **driving)

        def run_name() -> str:
            try:
                return title(_read(form, runtime.flow_run.parameters)[0])
            except ConfigError:
                return f"{name} · refused"

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(entry, attribute, getattr(started, attribute))
        schema = parameters_schema(form)
        super().__init__(
            taking((*schema, RUN_DIR))(entry),
            name=name,
            flow_run_name=run_name,
            persist_result=False,
            validate_parameters=False,
        )
        self.form = form
        self.__signature__ = shown_signature(schema, required(form))

    def __call__(  # type: ignore[override]
        self, config: DatasetPrepConfig, run_dir: Path | None = None, **driving: Any
    ) -> Any:
        """Run a configuration, as a subflow where a flow is running.

        Args:
            config: of this flow's method.
            run_dir: A run directory that was opened already; a new one when not given.
            driving: `resume` and `allow_drift`.

        Raises:
            ConfigError: the configuration is of another method.
        """
        if self.form.method not in (None, config.method):
            raise ConfigError(
                f"method {config.method}: this flow is for {self.form.method}; start finetune-{config.method}"
            )
        given = {**self.form.values_of(config), **driving, RUN_DIR: run_dir}
        return super().__call__(**{name: value for name, value in given.items() if value is not None})

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """What the page shows of a run that was called: without what was not given."""
        return super().serialize_parameters(
            {name: value for name, value in parameters.items() if value is not None}
        )


def _read(form: Form, given: Mapping[str, Any]) -> tuple[DatasetPrepConfig, dict[str, Any]]:
    apart = {RUN_DIR, *(Driving.model_fields if form.method else ())}
    config = form.config_of({name: value for name, value in given.items() if name not in apart})
    if not form.method:
        return config, {}
    driving = {name: given[name] for name in Driving.model_fields if given.get(name) not in (None, "")}
    return config, Driving.of(driving).model_dump()


def taking(names: Iterable[str]) -> Callable[[Function], Function]:
    """Gives a function of keywords a signature of just these parameters, which may all be left out."""

    def with_signature(function: Function) -> Function:
        parameters = (inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY, default=None) for one in names)
        function.__signature__ = _signature(parameters)  # type: ignore[attr-defined]
        return function

    return with_signature


def shown_signature(schema: Mapping[str, Schema], needed: Iterable[str]) -> inspect.Signature:
    """The signature of which Prefect makes just this form.

    Args:
        schema: of each parameter, with a title and a description.
        needed: the parameters that a run cannot do without.
    """
    needed = frozenset(needed)
    return _signature(_shown(one, described, one in needed) for one, described in schema.items())


def _signature(parameters: Any) -> inspect.Signature:
    return inspect.Signature(list(parameters))


def _shown(name: str, described: Schema, is_required: bool) -> inspect.Parameter:
    """A parameter of which Prefect makes exactly this JSON schema."""
    described = dict(described)
    # Prefect titles a field with its name, unless told apart from its type.
    extra = {key: described.pop(key) for key in ("title", "description")}
    default = described.pop("default", ... if is_required else MISSING)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[Any, WithJsonSchema(described)],
        default=Field(default=default, description=extra["description"], json_schema_extra=extra),
    )
