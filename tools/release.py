"""`make release VERSION=x.y.z`: version, date in the changelog, commit and tag; pushes nothing.

Needs nothing but Python and git, so that it runs in a clone in which nothing is installed.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

TREE: Final = Path(__file__).parents[1]
VERSION_PATH: Final = "orderd/__init__.py"
CHANGELOG_PATH: Final = "CHANGELOG.md"
VERSION_LINE: Final = re.compile(r'(?m)^__version__ = "(\d+\.\d+\.\d+)"$')
UNRELEASED: Final = re.compile(r"(?ms)^## \[Unreleased\]\n(?P<changes>.*?)(?=^## |\Z)")


class Refused(RuntimeError):
    """No release is cut, and nothing was changed; the text says why."""


def release(version: str, date: str) -> str:
    """Cut the release and return the name of its tag; Refused when the tree is not fit for it."""
    tag = f"v{version}"
    code = (TREE / VERSION_PATH).read_text(encoding="utf-8")
    changelog = (TREE / CHANGELOG_PATH).read_text(encoding="utf-8")
    new_code = with_version(code, version)
    new_changelog = with_date(changelog, version, date)
    if changed := git("status", "--porcelain"):
        raise Refused(f"the tree has changes that are not committed:\n{changed}")
    if git("tag", "--list", tag):
        raise Refused(f"the tag {tag} exists")
    (TREE / VERSION_PATH).write_text(new_code, encoding="utf-8")
    (TREE / CHANGELOG_PATH).write_text(new_changelog, encoding="utf-8")
    git("commit", "--quiet", "--message", f"release: {version}", VERSION_PATH, CHANGELOG_PATH)
    git("tag", "--annotate", "--message", f"orderd {version}", tag)
    return tag


def with_version(code: str, version: str) -> str:
    """Return the code with the version; Refused unless it is one, and higher than that there."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise Refused(f"VERSION is {version!r}: give three numbers, as VERSION=1.2.3")
    found = VERSION_LINE.search(code)
    if found is None:
        raise Refused(f"{VERSION_PATH} has no version")
    if _numbers(version) <= _numbers(found[1]):
        raise Refused(f"{version} is not higher than {found[1]}")
    return code.replace(found[0], f'__version__ = "{version}"')


def with_date(changelog: str, version: str, date: str) -> str:
    """Return the changelog with the unreleased changes under the version and the date."""
    found = UNRELEASED.search(changelog)
    if found is None or not found["changes"].strip():
        raise Refused(f"{CHANGELOG_PATH} has no changes under [Unreleased]")
    head = f"## [Unreleased]\n\n## [{version}] - {date}\n"
    return changelog[: found.start()] + head + found["changes"] + changelog[found.end() :]


def git(*args: str) -> str:
    """Return what git prints; Refused when it fails."""
    done = subprocess.run(["git", *args], cwd=TREE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(f"git {args[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """Run `python -m tools.release VERSION`."""
    parser = argparse.ArgumentParser(prog="python -m tools.release")
    parser.add_argument("version")
    try:
        tag = release(parser.parse_args().version, datetime.now(UTC).date().isoformat())
    except Refused as reason:
        print(f"not released: {reason}", file=sys.stderr)
        return 1
    print(f"released {tag}; publish it with: git push --follow-tags")
    return 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    sys.exit(main())
