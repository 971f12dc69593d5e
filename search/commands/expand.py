"""Options of a command from the fields of its request."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from ...search_space import GoalError
from ..console.interrupts import explained_interrupt
from ..resolve.options import Option, Request, flag_of

_METAVARS = {int: "N", int | None: "N", float: "X", float | None: "X", str: "TEXT", str | None: "TEXT"}


@dataclass(frozen=True)
class Given:
    """The options that stand on the command line, by parameter; others have their default."""

    flags: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.flags

    def require_resumable(self, *allowed: str) -> None:
        """Refuse options that a resumed run cannot change.

        Raises:
            GoalError: an option other than those allowed was given.
        """
        refused = [flag for name, flag in self.flags.items() if name not in allowed]
        if refused:
            raise GoalError(f"{', '.join(refused)} cannot change with --resume; leave it out")

    def exclude(self, flag: str, *others: str, reason: str) -> None:
        """Refuse `others` next to `flag`.

        Raises:
            GoalError: one of them was given.
        """
        for name in others:
            if name in self.flags:
                raise GoalError(f"{self.flags[name]} and {flag} exclude each other: {reason}")


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each request among the parameters of a command by one option per field.

    A parameter of type `Given` receives what was given explicitly. Parameters with annotations of
    typer are left as they are.
    """
    signature = inspect.signature(command, eval_str=True)
    requests: dict[str, type[Request]] = {}
    given_name = None
    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for parameter in signature.parameters.values():
        kind = parameter.annotation
        if kind is Given:
            given_name = parameter.name
        elif isinstance(kind, type) and issubclass(kind, Request):
            requests[parameter.name] = kind
            parameters += _field_parameters(kind)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(*, context: typer.Context, **values: Any) -> None:
        for name, request in requests.items():
            own = {each.name: values.pop(each.name) for each in fields(request)}
            values[name] = request(**{field: _value(value) for field, value in own.items()})
        if given_name:
            values[given_name] = _given(context)
        with explained_interrupt():
            command(**values)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _field_parameters(request: type[Request]) -> list[inspect.Parameter]:
    """The fields as parameters, those of the request itself before those of its groups."""
    kinds = get_type_hints(request)
    shown = [each for each in fields(request) if "option" in each.metadata]
    owners = {each.name: _owner(request, each.name) for each in shown}
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is MISSING else each.default,
            annotation=Annotated[
                _kind(kinds[each.name]),
                _typer_parameter(each, kinds[each.name], owners[each.name].panel),
            ],
        )
        for each in sorted(shown, key=lambda each: owners[each.name] is not request)
    ]


def _owner(request: type[Request], name: str) -> type[Request]:
    return next(each for each in request.__mro__ if name in vars(each).get("__annotations__", {}))


def _typer_parameter(field: "Field[Any]", kind: Any, panel: str | None) -> Any:
    option: Option = field.metadata["option"]
    if option.is_argument:
        return typer.Argument(metavar=option.metavar, help=option.help, show_default=False)
    return typer.Option(
        *(option.names or (flag_of(field.name),)),
        metavar=option.metavar or _METAVARS.get(kind),
        help=option.help,
        min=option.minimum,
        max=option.maximum,
        rich_help_panel=option.panel or panel,
        show_default=not (isinstance(field.default, bool) or field.default in (None, "", ())),
    )


def _kind(kind: Any) -> Any:
    """The type as typer takes it: lists in place of tuples."""
    if get_origin(kind) is tuple:
        return list[get_args(kind)[0]]  # type: ignore[misc]
    if NoneType in get_args(kind):
        return Union[tuple(_kind(each) for each in get_args(kind))]  # noqa: UP007
    return kind


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _given(context: typer.Context) -> Given:
    flags = {each.name: each.opts[0] for each in context.command.params if each.name}
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return Given(
        {name: flags[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    )
