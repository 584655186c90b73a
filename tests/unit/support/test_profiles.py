"""The same examples in `make test` each time, new ones in `make soak`."""

import re
from pathlib import Path

import pytest
from hypothesis import settings

MAKEFILE = (Path(__file__).parents[3] / "Makefile").read_text()


def recipe(target: str) -> str:
    found = re.search(rf"(?m)^{target}:.*\n((?:\t.*\n)+)", MAKEFILE)
    assert found, target
    return found[1]


@pytest.mark.parametrize("target", ["check", "test", "coverage", "soak"])
def test_only_the_soak_draws_by_chance(target: str) -> None:
    named = re.findall(r"HYPOTHESIS_PROFILE=(\w+)", recipe(target))
    profiles = [settings.get_profile(name) for name in named or ["ci"]]

    assert [profile.derandomize for profile in profiles] == [target != "soak"] * len(profiles)
