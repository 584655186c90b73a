"""The generated tables of the documentation leave nothing out."""

import pytest

from tools import reference
from tools import reference_texts as texts
from tools.markdown import TextsDiffer


def test_a_code_without_a_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(texts.REFUSALS, "expired")

    with pytest.raises(TextsDiffer, match="no text for \\['expired'\\]"):
        reference.refusal_codes()


def test_a_text_about_no_event_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(texts.SYSTEM_EVENTS, ("system.slept",), ("instance/NAME", "{}"))

    with pytest.raises(TextsDiffer, match=r"no name \['system\.slept'\]"):
        reference.event_types()


def test_options_that_verbs_share_stand_once_with_their_verbs() -> None:
    lines = reference.orderctl_command("dlq").splitlines()

    shared = "`replay`, `discard`, `purge`, `edit`, `import`"
    assert [line for line in lines if line.startswith("| `--dry-run`")] == [
        f"| `--dry-run` | change nothing; show what would be done | {shared} |"
    ]
