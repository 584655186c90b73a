"""The pages of the documentation fit together: links, headings, log events, line lengths."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderd.shop.entity import refusal_event
from orderd.shop.registry import SHOP
from tools.reference import event_names

TREE = Path(__file__).parents[2]
PAGES = [
    TREE / "README.md",
    TREE / "CONTRIBUTING.md",
    TREE / "SECURITY.md",
    *sorted(TREE.glob("docs/**/*.md")),
]
PROSE_COLUMNS_MAX = 110
FENCED = re.compile(r"(?ms)^```.*?^```$")
LINK = re.compile(r"\]\((?!https?:)([^)\s]*)\)")
HEADING = re.compile(r"(?m)^#{1,6} +(.+)$")
# What begins in this way and is no event of the log: types of events for listeners.
EVENT_TYPES = re.compile(
    "|".join(
        re.escape(kind)
        for entity in SHOP.entities
        for kind in (*entity.events, refusal_event(entity.queue))
    )
    + r"|system\.\w+|notification\.digest"
)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))


@each_page
def test_every_relative_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    broken = [target for target in LINK.findall(prose(page)) if not resolves(page, target)]

    assert broken == []


@each_page
def test_lines_of_prose_fit_into_110_columns(page: Path) -> None:
    long = [
        line
        for line in prose(page).splitlines()
        if len(line) > PROSE_COLUMNS_MAX and not line.startswith(("|", "<!--", "[!["))
    ]

    assert long == []


@each_page
def test_every_log_event_that_a_page_names_exists(page: Path) -> None:
    events = event_names()
    subjects = "|".join(sorted({name.partition(".")[0] for name in events}))
    named = re.findall(rf"`((?:{subjects})\.[a-z_]+)`", prose(page))
    files = re.compile(r".*\.(md|py|toml|sql|log|prom|env|conf|lock|dlq|retry|txt)")

    unknown = {
        name
        for name in named
        if name not in events and not EVENT_TYPES.fullmatch(name) and not files.fullmatch(name)
    }

    assert unknown == set()


def test_the_index_leads_to_every_page() -> None:
    index = TREE / "docs/README.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(prose(index))}

    assert [page for page in TREE.glob("docs/**/*.md") if page not in {*linked, index}] == []


def test_every_test_that_the_threat_model_names_exists() -> None:
    page = TREE / "docs/explanation/threat-model.md"
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8"))

    missing = [
        (path, name)
        for path, name in named
        if not (TREE / path).exists()
        or f"def {name or 'test_'}" not in (TREE / path).read_text(encoding="utf-8")
    ]

    assert len(named) > 10
    assert missing == []


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def resolves(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    linked = (page.parent / path).resolve() if path else page
    if not linked.exists() or not linked.is_relative_to(TREE):
        return False
    return not anchor or anchor in set(anchors(linked))


def anchors(page: Path) -> Iterator[str]:
    """Yield the anchors of a page's headings, as GitHub makes them."""
    seen: dict[str, int] = {}
    for heading in HEADING.findall(prose(page)):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        count = seen[plain] = seen.get(plain, -1) + 1
        yield f"{plain}-{count}" if count else plain
