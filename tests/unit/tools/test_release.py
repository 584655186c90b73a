"""`make release`, in a scratch repository with the files that it reads."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orderd import __version__

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git here")

TREE = Path(__file__).parents[3]
NEXT = f"{int(__version__.split('.')[0]) + 1}.0.0"
# Nothing of the developer's own settings, and names that git asks for.
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{role}_NAME": "Ann" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ann@example.com" for role in ("AUTHOR", "COMMITTER")},
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clean repository with an unreleased change."""
    for name in ("Makefile", "orderd/__init__.py", "tools/__init__.py", "tools/release.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(TREE / name, tmp_path / name)
    changelog = (
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.0.1]\n\nFirst.\n"
    )
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "git", "add", ".")
    run(tmp_path, "git", "commit", "--quiet", "--message", "begin")
    return tmp_path


def run(cwd: Path, *argv: str) -> str:
    done = result(cwd, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def result(cwd: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env = {**env, **GIT, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_a_release_has_its_version_its_date_a_commit_and_a_tag(clone: Path) -> None:
    printed = run(clone, "make", "--no-print-directory", "release", f"VERSION={NEXT}")

    assert f"released v{NEXT}" in printed
    assert f'__version__ = "{NEXT}"' in (clone / "orderd/__init__.py").read_text()
    changelog = (clone / "CHANGELOG.md").read_text()
    assert re.search(
        rf"## \[Unreleased\]\n\n## \[{NEXT}\] - \d{{4}}-\d\d-\d\d\n\n### Added\n\n- A thing\.\n\n"
        r"## \[0\.0\.1\]\n",
        changelog,
    )
    assert run(clone, "git", "status", "--porcelain") == ""
    assert run(clone, "git", "log", "-1", "--format=%s").strip() == f"release: {NEXT}"
    assert run(clone, "git", "describe", "--exact-match").strip() == f"v{NEXT}"


def test_a_second_release_needs_changes_of_its_own(clone: Path) -> None:
    run(clone, "make", "release", f"VERSION={NEXT}")

    assert_refused(clone, f"1{NEXT}", "no changes under [Unreleased]")


@pytest.mark.parametrize("version", ["", "1", "1.2.3rc1", "v1.2.3", "01.2.3", "0.0.1", __version__])
def test_only_a_higher_version_of_three_numbers_is_released(clone: Path, version: str) -> None:
    assert_refused(clone, version, "not released")


@pytest.mark.parametrize("name", ["Makefile", "new-file"])
def test_a_tree_with_changes_is_not_released(clone: Path, name: str) -> None:
    with (clone / name).open("a") as file:
        file.write("# edited\n")

    assert_refused(clone, NEXT, "not committed")


def test_a_tag_is_not_moved(clone: Path) -> None:
    run(clone, "git", "tag", f"v{NEXT}")

    assert_refused(clone, NEXT, "exists")


def assert_refused(clone: Path, version: str, reason: str) -> None:
    """Fail unless the release is refused and everything left as it was."""

    def state() -> tuple[str, ...]:
        return (
            run(clone, "git", "rev-parse", "HEAD"),
            run(clone, "git", "tag", "--list"),
            run(clone, "git", "status", "--porcelain"),
            (clone / "CHANGELOG.md").read_text(),
            (clone / "orderd/__init__.py").read_text(),
        )

    before = state()

    done = result(clone, "make", "release", f"VERSION={version}")

    assert done.returncode != 0
    assert reason in done.stderr
    assert state() == before
