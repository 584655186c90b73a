"""Builds the Debian package in a clone of the root file system that has the tools for it."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from tools import guest_root
from tools.debian_root import TREE, MakingFailed

DIST: Final = TREE / "dist"
SOURCES: Final = (
    "orderd",
    "sql",
    "systemd",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "CHANGELOG.md",
    "LICENSE",
)
PLACE: Final = "build/orderd"


def build(destination: Path = DIST) -> Path:
    """Return the path of the new package. MakingFailed when it, or lintian, finds fault."""
    with guest_root.clone(guest_root.layered(tools())) as root:
        source = root / PLACE
        copy_tree(source)
        shutil.copytree(TREE / "systemd/debian", source / "debian")
        (source / "debian/changelog").write_text(_changelog())
        guest_root.run_in(root, "dpkg-buildpackage", "-us", "-uc", "-b", cwd=f"/{PLACE}")
        (changes,) = source.parent.glob("*.changes")
        lintian = (
            "lintian",
            "--allow-root",
            "--fail-on=error,warning,info,pedantic",
            "--display-info",
            "--pedantic",
        )
        guest_root.run_in(root, *lintian, f"/{changes.relative_to(root)}")
        (deb,) = source.parent.glob("*.deb")
        destination.mkdir(exist_ok=True)
        return Path(shutil.copy(deb, destination))


def tools() -> tuple[str, ...]:
    """Return the Debian packages that building ours takes."""
    return (*_build_depends(), "build-essential", "lintian")


def version() -> str:
    """Return the version that orderd gives itself."""
    text = (TREE / "orderd/__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found, "orderd/__init__.py: no __version__"
    return found[1]


def _build_depends() -> list[str]:
    control = (TREE / "systemd/debian/control").read_text()
    listed = control.partition("Build-Depends:")[2].partition("\nStandards-Version")[0]
    names = [name.strip() for name in listed.split(",") if name.strip()]
    return [*(name for name in names if " " not in name), "debhelper"]


def copy_tree(target: Path) -> None:
    """Copy what an installation is made from."""
    target.mkdir(parents=True)
    for name in SOURCES:
        source = TREE / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def _changelog() -> str:
    """Return Debian's form of the changelog: the version, and where the changes are told."""
    changed = datetime.fromtimestamp((TREE / "CHANGELOG.md").stat().st_mtime, UTC)
    maintainer = re.search(
        r"^Maintainer: (.+)$", (TREE / "systemd/debian/control").read_text(), re.MULTILINE
    )
    assert maintainer, "systemd/debian/control: no Maintainer"
    return (
        f"orderd ({version()}) unstable; urgency=medium\n\n"
        "  * See CHANGELOG.md for what is new.\n\n"
        f" -- {maintainer[1]}  {format_datetime(changed)}\n"
    )


def main() -> int:
    """`make deb`: print where the package is."""
    if reason := guest_root.obstacle():
        print(f"the package cannot be built here: {reason}", file=sys.stderr)
        return 1
    try:
        print(build().relative_to(TREE))
    except (MakingFailed, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
