"""Options of a command from the fields of its request."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from ...search_space import GoalError
from ..console.interrupts import explained_interrupt
from ..resolve.confirmed import CONFIRMABLE
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

    def confirmed(self, request: Request) -> dict[str, str]:
        """The options that repeat a setting, which a file alone is not trusted for."""
        return {name: getattr(request, name) for name in CONFIRMABLE if name in self.flags}

    def exclude_from_predictor(self, request: Request) -> None:
        """Refuse options next to `--latency-predictor` whose values its file holds.

        A command or `module:attribute` may be repeated, so that the file is not trusted for it.

        Raises:
            GoalError: one of them was given.
        """
        from ...evaluate.trust import is_active

        names = ["latency_threads", "reference_model", "no_latency_predictor"]
        if not is_active("latency backend", getattr(request, "latency_backend", "")):
            names.append("latency_backend")
        reason = "the file holds the device that it was measured on"
        self.exclude("--latency-predictor", *names, reason=reason)

    def exclude(self, flag: str, *others: str, reason: str) -> None:
        """Refuse `others` next to `flag`.

        Raises:
            GoalError: one of them was given.
        """
        for name in others:
            if name in self.flags:
                raise GoalError(f"{self.flags[name]} and {flag} exclude each other: {reason}")


TrustOption = Annotated[
    bool, typer.Option("--trust", help="use commands, code and databases that only a file names")
]


def expand(command: Callable[..., None], *, opens_files: bool = True) -> Callable[..., None]:
    """Replace each request among the parameters of a command by one option per field.

    A parameter of type `Given` receives what was given explicitly. Parameters with annotations of
    typer are left as they are.

    Args:
        opens_files: whether it reads folders or files that may name commands, code or databases; it gets
            the option --trust, and trusts what the command line repeats.
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
    if opens_files:
        parameters.append(
            inspect.Parameter("trust", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=TrustOption)
        )

    @functools.wraps(command)
    def run(*, context: typer.Context, trust: bool = False, **values: Any) -> None:
        for name, request in requests.items():
            own = {each.name: values.pop(each.name) for each in fields(request)}
            values[name] = request(**{field: _value(value) for field, value in own.items()})
        from ...evaluate.trust import trusting

        given = _given(context)
        if given_name:
            values[given_name] = given
        options = {each.opts[0] for each in context.command.params}
        with explained_interrupt(), trusting(trust, _texts(context, given), options):
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
    given = {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    return Given({name: flags[name] for name in context.params if name in given - {"trust"}})


def _texts(context: typer.Context, given: Given) -> Iterator[str]:
    """Everything that stands on the command line, option values and arguments."""
    for name in given.flags:
        value = context.params[name]
        yield from map(str, value if isinstance(value, list | tuple) else [value])
