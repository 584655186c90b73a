"""Builds the Debian package in a clone of the root file system that has the tools for it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools import debian_changelog, guest_root
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
    "monitoring",
    "CHANGELOG.md",
    "LICENSE",
    # For the tests that a build runs.
    "tests",
    "tools",
    "bench",
    "Containerfile",
    "Makefile",
    "compose",
    "compose.yaml",
    "requirements",
)
PLACE: Final = "build/orderd"


def build(destination: Path = DIST) -> Path:
    """Return the path of the new package. MakingFailed when it, or lintian, finds fault."""
    with guest_root.clone(guest_root.layered(tools())) as root:
        source = root / PLACE
        copy_source(source)
        guest_root.run_in(root, "dpkg-buildpackage", "-us", "-uc", cwd=f"/{PLACE}")
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
    names = [name.strip().removesuffix(" <!nocheck>") for name in listed.split(",")]
    return [*(name for name in names if name and " " not in name), "debhelper"]


def copy_source(target: Path) -> None:
    """Copy the tree of the source package: the same, with its Debian part where that has to be."""
    copy_tree(target)
    shutil.copytree(TREE / "systemd/debian", target / "debian")
    told = debian_changelog.of_the_tree(version())
    (target / "debian/changelog").write_text(debian_changelog.changelog(told))
    (target / "debian/NEWS").write_text(debian_changelog.news(told))


def copy_tree(target: Path) -> None:
    """Copy what an installation is made from."""
    target.mkdir(parents=True)
    for name in SOURCES:
        source = TREE / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


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
