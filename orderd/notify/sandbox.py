"""What a template may do: text, values, conditions, loops over data, and nothing that calls.

Templates are of the operator, values of anyone. A template has no way to Python's objects, and
cannot run or grow without end.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import SandboxedEnvironment

OUTPUT_BYTES_MAX: Final = 1 << 16
LOOPS_MAX: Final = 2
_VALUE_CHARS_MAX: Final = 1 << 14
_FILTERS: Final = (
    *("abs", "capitalize", "d", "default", "first", "int", "join", "last", "length", "lower"),
    *("round", "title", "trim", "truncate", "upper"),
)
_NODES: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For),
    *(nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.List, nodes.Tuple),
    *(nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
    *(nodes.Filter, nodes.Test, nodes.Keyword),
)
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


class Sandbox(SandboxedEnvironment):
    """Compiles templates whose values pass *shown* on their way into the text."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self, shown: Callable[[str], str]) -> None:
        def finalize(value: object) -> object:
            # StrictUndefined raises its error, with the name, where it becomes text.
            return value if isinstance(value, Undefined) else shown(_text(value))

        super().__init__(
            undefined=StrictUndefined,
            finalize=finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
        )
        self.globals.clear()
        own = {"money": money, "date": date}
        self.filters = {name: FILTERS[name] for name in _FILTERS} | own

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a member of a table, or a fact of a loop; nothing else has any."""
        if isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        return self._member(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return a member of a table or a list."""
        if isinstance(obj, list | tuple) and isinstance(argument, int | slice):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(obj=obj, name=str(argument))
        return self._member(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Return a sum and the like of numbers, or two texts as one."""
        if isinstance(left, str) and isinstance(right, str) and operator == "+":
            if len(left) + len(right) > OUTPUT_BYTES_MAX:
                raise SecurityError("the text is too long")
            return left + right
        if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
            if isinstance(left, float) or isinstance(right, float):
                left, right = float(left), float(right)
            return super().call_binop(context, operator, left, right)
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return super().call_binop(context, operator, left, right)
        raise SecurityError(f"{operator} is for numbers")

    def checked(self, tree: nodes.Template, name: str) -> nodes.Template:
        """Return the tree; raise TemplateSyntaxError where something is not available."""
        _check(tree, name, 0)
        return tree

    def _member(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Undefined):
            return super().getattr(obj, str(name))
        if isinstance(obj, Mapping) and name in obj:
            return obj[name]
        return self.undefined(obj=obj, name=name)


def money(amount: object) -> str:
    """Return an amount with two decimals; raise ValueError."""
    try:
        return f"{Decimal(str(amount)):.2f}"
    except InvalidOperation:
        raise ValueError(f"{str(amount)[:40]!r} is no amount") from None


def date(time: object) -> str:
    """Return an RFC 3339 time as people write it, in UTC; raise ValueError.

    An event need not have a time.
    """
    if time is None:
        return "a time that is not known"
    try:
        at = datetime.fromisoformat(str(time))
    except ValueError:
        raise ValueError(f"{str(time)[:40]!r} is no time") from None
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def _text(value: object) -> str:
    """Return what a value is in a text; raise ValueError for a table or a list."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str() | int() | float() | Decimal():
            text = str(value)
            cut = f"{text[: _VALUE_CHARS_MAX - 1]}…"
            return text if len(text) <= _VALUE_CHARS_MAX else cut
        case _:
            raise ValueError("a table or list is no text: name one of its members")


def _check(node: nodes.Node, name: str, loops: int) -> None:
    if not isinstance(node, _NODES):
        what = type(node).__name__.lower()
        raise TemplateSyntaxError(f"not available in templates: {what}", node.lineno, name)
    if isinstance(node, nodes.For):
        loops += 1
        if loops > LOOPS_MAX or node.recursive:
            raise TemplateSyntaxError("too many loops in each other", node.lineno, name)
    for child in node.iter_child_nodes():
        _check(child, name, loops)
