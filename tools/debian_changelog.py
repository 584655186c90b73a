"""Debian's forms of CHANGELOG.md: changelog and NEWS of the package."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from tools.debian_root import TREE

CHANGELOG: Final = TREE / "CHANGELOG.md"
CONTROL: Final = TREE / "systemd/debian/control"
# What the changelog calls what NEWS tells: apt-listchanges shows it before an upgrade.
NEWS_GROUP: Final = "Before you upgrade"
UNRELEASED: Final = "Unreleased"
_WIDTH: Final = 78
_SECTION: Final = re.compile(
    r"(?ms)^## \[(?P<name>.+?)\](?: - (?P<date>\S+))?\n(?P<text>.*?)(?=^## |\Z)"
)
_GROUP: Final = re.compile(r"(?ms)^### (.+?)\n(.*?)(?=^### |\Z)")
_ITEM: Final = re.compile(r"(?ms)^- (.+?)(?=^- |\Z)")


@dataclass(frozen=True, slots=True)
class Release:
    """One version; `groups` has its changes, each in one line, by headings such as Added."""

    version: str
    changed: datetime
    groups: Mapping[str, Sequence[str]]


def releases(text: str, version: str, built: datetime) -> list[Release]:
    """Return what the text of the changelog tells, newest first.

    What is not released yet is part of *version*, the one that is built, and of *built*.
    """
    found: list[Release] = []
    unreleased: dict[str, list[str]] = {}
    for section in _SECTION.finditer(text):
        groups = {name: _items(listed) for name, listed in _GROUP.findall(section["text"])}
        if section["name"] == UNRELEASED:
            unreleased = groups
            continue
        day = section["date"]
        changed = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC) if day else built
        found.append(Release(section["name"], changed, groups))
    if not any(unreleased.values()):
        return found
    same: Mapping[str, Sequence[str]] = {}
    if found and found[0].version == version:
        same = found.pop(0).groups
    merged = {
        name: [*unreleased.get(name, ()), *same.get(name, ())] for name in {**unreleased, **same}
    }
    return [Release(version, built, merged), *found]


def changelog(told: Sequence[Release]) -> str:
    """Return debian/changelog: an entry of each release."""
    return "\n".join(_entry(release, _changes(release)) for release in told)


def news(told: Sequence[Release]) -> str:
    """Return debian/NEWS: what to do before an upgrade to the releases that demand something."""
    demanding = [release for release in told if release.groups.get(NEWS_GROUP)]
    return "\n".join(
        _entry(release, (_filled(item, "  ") for item in release.groups[NEWS_GROUP]), "\n\n")
        for release in demanding
    )


def of_the_tree(version: str) -> list[Release]:
    """Return the releases that the changelog of this tree tells of."""
    built = datetime.fromtimestamp(CHANGELOG.stat().st_mtime, UTC)
    return releases(CHANGELOG.read_text(), version, built)


def _items(text: str) -> list[str]:
    return [" ".join(item.split()) for item in _ITEM.findall(text)]


def _changes(release: Release) -> Iterator[str]:
    for name, items in release.groups.items():
        yield f"  * {name}:"
        for item in items:
            yield _filled(item, "    - ")


def _filled(text: str, indent: str) -> str:
    """Return the text in lines that begin with the indent, or with as many spaces."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _entry(release: Release, lines: Iterator[str], between: str = "\n") -> str:
    maintainer = re.search(r"^Maintainer: (.+)$", CONTROL.read_text(), re.MULTILINE)
    assert maintainer, f"{CONTROL}: no Maintainer"
    head = f"orderd ({release.version}) unstable; urgency=medium"
    foot = f" -- {maintainer[1]}  {format_datetime(release.changed)}"
    return f"{head}\n\n{between.join(lines)}\n\n{foot}\n"
