"""What goes into the image is locked, complete, and fits what the project asks for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

TREE = Path(__file__).parents[2]
LOCKED = re.compile(
    r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)(?P<rest>.*(?:\n +\S.*)*)", re.MULTILINE
)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def locked(name: str) -> dict[str, str]:
    text = (TREE / "requirements" / f"{name}.txt").read_text()
    return {found["name"]: found["version"] for found in LOCKED.finditer(text)}


def project() -> dict[str, Any]:
    return tomllib.loads((TREE / "pyproject.toml").read_text())


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("runtime", project()["project"]["dependencies"]),
        ("build", project()["build-system"]["requires"]),
        ("build", (TREE / "requirements/build.in").read_text().splitlines()[1:]),
    ],
)
def test_what_the_project_asks_for_is_locked_in_a_version_it_takes(
    lock: str, wanted: list[str]
) -> None:
    versions = locked(lock)

    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(versions[requirement.name]), requirement


@pytest.mark.parametrize("lock", ["runtime", "build"])
def test_each_locked_package_has_its_hashes_and_no_place_is_named(lock: str) -> None:
    text = (TREE / "requirements" / f"{lock}.txt").read_text()

    assert len(locked(lock)) >= 7
    for found in LOCKED.finditer(text):
        assert HASH.search(found["rest"]), found["name"]
    assert "://" not in text
    assert "index" not in text
    assert "find-links" not in text


@pytest.mark.parametrize("package", ["psycopg2-binary", "pydantic-core"])
def test_compiled_packages_are_locked_for_many_platforms(package: str) -> None:
    text = (TREE / "requirements" / "runtime.txt").read_text()

    (found,) = (one for one in LOCKED.finditer(text) if one["name"] == package)

    # Each of its wheels: Python versions times processors times C libraries.
    assert len(HASH.findall(found["rest"])) > 30
