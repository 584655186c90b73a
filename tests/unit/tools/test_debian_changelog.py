"""Changelog and NEWS of the Debian package, as dpkg reads them."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orderd import __version__
from tools.debian_changelog import CHANGELOG, Release, changelog, news, of_the_tree, releases

BUILT = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
TOLD = """# Changelog

All notable changes.

## [Unreleased]
{unreleased}
## [0.2.0] - 2026-10-01

### Before you upgrade

- Stop it first, in a line that goes on
  in the next one.
- Then start it.

### Fixed

- A leak.

## [0.1.0]

### Added

- A daemon.
"""
NEW = "\n### Added\n\n- A switch.\n"

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-parsechangelog"), reason="no dpkg-dev here")


def test_each_release_is_an_entry_with_its_own_changes_and_day() -> None:
    newest, first = releases(TOLD.format(unreleased=""), "0.2.0", BUILT)

    assert newest.version == "0.2.0"
    assert newest.changed == datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert newest.groups["Before you upgrade"] == [
        "Stop it first, in a line that goes on in the next one.",
        "Then start it.",
    ]
    assert first == Release("0.1.0", BUILT, {"Added": ["A daemon."]})


def test_what_is_not_released_is_told_of_the_version_that_is_built() -> None:
    newest, first = releases(TOLD.format(unreleased=NEW), "0.2.0", BUILT)

    assert (newest.version, newest.changed) == ("0.2.0", BUILT)
    assert newest.groups["Added"] == ["A switch."]
    assert newest.groups["Fixed"] == ["A leak."]
    assert first.version == "0.1.0"


def test_news_tells_of_no_release_that_demands_nothing() -> None:
    told = releases(TOLD.format(unreleased=NEW), "0.3.0", BUILT)

    assert [release.version for release in told] == ["0.3.0", "0.2.0", "0.1.0"]
    assert news(told).count("orderd (") == 1
    assert news(told).startswith("orderd (0.2.0) unstable; urgency=medium\n\n  Stop it first")


@needs_dpkg
def test_dpkg_reads_every_release_of_the_tree_without_a_warning(tmp_path: Path) -> None:
    told = of_the_tree(__version__)
    sections = CHANGELOG.read_text().count("\n## [")

    listed = _parsed(tmp_path, changelog(told))
    demanding = _parsed(tmp_path, news(told))

    assert listed[0] == f"Version: {__version__}"
    # What is unreleased has no version of its own.
    assert sections - 1 <= len(listed) <= sections
    assert set(demanding) <= set(listed)
    assert demanding != []


def test_no_line_is_too_long_for_a_terminal_or_lintian() -> None:
    told = of_the_tree(__version__)

    lines = [*changelog(told).splitlines(), *news(told).splitlines()]

    assert [line for line in lines if len(line) > 80 and not line.startswith(" -- ")] == []


def _parsed(tmp_path: Path, text: str) -> list[str]:
    """Return the versions that dpkg finds, which must say nothing else."""
    path = tmp_path / "changelog"
    path.write_text(text)
    parse = ("dpkg-parsechangelog", f"-l{path}", "--all", "--format=rfc822")
    done = subprocess.run(parse, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line.startswith("Version: ")]
