"""Reads of a PromQL expression which metrics and labels it names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<text>"(?:\\.|[^"\\])*")
    | (?P<number>[0-9][0-9a-zA-Z.]*)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<operator>=~|!~|!=|==|>=|<=|\S)
    """,
    re.VERBOSE,
)
_LABELS_FOLLOW: Final = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS: Final = {"and", "or", "unless", "offset", "bool"}

Token = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label: `=`, `!=`, `=~` or `!~`."""

    label: str
    operator: str
    wanted: str

    def accepts(self, given: str) -> bool:
        """Return whether a series with the label's value *given* is selected."""
        found = (
            re.fullmatch(self.wanted, given) is not None
            if "~" in self.operator
            else given == self.wanted
        )
        return found is not self.operator.startswith("!")

    def alternatives(self) -> list["Matcher"]:
        """Return one matcher for each name of a plain `a|b|c`."""
        if self.operator == "=~" and re.fullmatch(r"[\w|]+", self.wanted):
            return [Matcher(self.label, "=", each) for each in self.wanted.split("|")]
        return [self]


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and the conditions on its labels."""

    name: str
    matchers: Sequence[Matcher] = ()


@dataclass(slots=True)
class Names:
    """What an expression names: series, and the labels that it groups and joins by."""

    selectors: list[Selector] = field(default_factory=list)
    grouping: set[str] = field(default_factory=set)


def names(expression: str) -> Names:
    """Return what *expression* names; functions and operators are left out."""
    found = Names()
    tokens = [(str(each.lastgroup), each.group()) for each in _TOKEN.finditer(expression)]
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        position += 1
        follows = tokens[position][1] if position < len(tokens) else ""
        if kind != "name" or text in _WORDS:
            continue
        if text in _LABELS_FOLLOW:
            if follows == "(":
                end = tokens.index(("operator", ")"), position)
                found.grouping |= {word for kind, word in tokens[position:end] if kind == "name"}
                position = end
        elif follows == "{":
            end = tokens.index(("operator", "}"), position)
            found.selectors.append(Selector(text, list(_matchers(tokens[position + 1 : end]))))
            position = end
        elif follows != "(" and not _is_aggregation(follows):
            found.selectors.append(Selector(text))
    return found


def _is_aggregation(follows: str) -> bool:
    """Return whether the word before was the `sum` of `sum by (…)`."""
    return follows in {"by", "without"}


def _matchers(tokens: Sequence[Token]) -> Iterator[Matcher]:
    words = [text for _, text in tokens if text != ","]
    for label, operator, wanted in zip(words[::3], words[1::3], words[2::3], strict=True):
        yield Matcher(label, operator, re.sub(r"\\(.)", r"\1", wanted[1:-1]))
