"""What failed is explained only where systemd started the program, and its filter is the cause."""

import pytest

from orderd.runtime.address_filter import explained

TEXT = 'connection to server at "127.0.0.1", port 5432 failed: timeout expired'


@pytest.mark.parametrize("text", [TEXT, "::1: timed out", "refused", "Name or service not known"])
def test_where_nothing_is_refused_the_text_stays_as_it_is(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOCATION_ID", "1")

    assert explained(text) == text
