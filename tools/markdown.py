"""Tables in Markdown, for the documentation that is generated."""

from collections.abc import Iterable, Mapping, Sequence


class TextsDiffer(Exception):
    """A name has no text, or a text is about no name."""


def described(titles: Sequence[str], known: Iterable[str], meanings: Mapping[str, str]) -> str:
    """Return a table of the *known* names with their *meanings*; raises TextsDiffer."""
    order = list(map(str, known))
    same(order, meanings)
    return table(titles, [(code(name), meanings[name]) for name in order])


def same(known: Iterable[object], described: Iterable[object]) -> None:
    """Raise TextsDiffer where the names in the code are not those that have a text."""
    first, second = {_key(name) for name in known}, {_key(name) for name in described}
    if first != second:
        missing, extra = sorted(first - second), sorted(second - first)
        raise TextsDiffer(f"tools/reference_texts.py: no text for {missing}, no name {extra}")


def _key(name: object) -> str:
    return " ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def code(text: str) -> str:
    """Return *text* in the type of code; an empty one stays empty."""
    return f"`{text}`" if text else ""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table between empty lines, as cog's marks want it."""
    lines = [titles, ["---"] * len(titles), *rows]
    # A bar inside a cell would end it, in code as well.
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return (
        "\n" + "".join(f"| {' | '.join(line)} |\n" for line in cells).replace("|  |", "| |") + "\n"
    )
