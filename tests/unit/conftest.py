"""Lets pytest-xdist pass on what the tests here write, and tests log as the daemon does."""

import logging
from collections.abc import Generator, Iterator

import pytest

from orderd.logs.logger import configure


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured output, which xdist could not send to its controller."""
    report = yield
    report.sections = [
        (title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections
    ]
    return report


@pytest.fixture
def log_to_stdout() -> Iterator[None]:
    """Log as the daemon does, and put logging back as it was afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure()
    yield
    root.handlers = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
