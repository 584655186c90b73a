"""The setting `consume`: for all queues in one word, or in a table by queue."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from orderd.config.load import ConfigError, Settings, load
from orderd.config.reference import describe
from orderd.config.reload import reload_settings
from orderd.protocol.names import Queue

ALL = frozenset(Queue)
NOWHERE = Path("/nonexistent")


def loaded(directory: Path, toml: str, environ: Mapping[str, str]) -> Settings:
    file = directory / "orderd.toml"
    file.write_text(toml)
    return load(file, {}, environ, secrets_directory=NOWHERE)


@pytest.mark.parametrize(
    ("toml", "environ", "exclusive"),
    [
        ("", {}, frozenset()),
        ('consume = "shared"', {}, frozenset()),
        ('consume = "exclusive"', {}, ALL),
        ('[consume]\norder = "exclusive"', {}, {Queue.ORDER}),
        ('[consume]\norder = "exclusive"\nuser = "shared"', {}, {Queue.ORDER}),
        ("", {"ORDERD_CONSUME": "Exclusive"}, ALL),
        ("", {"ORDERD_CONSUME": '{"order": "exclusive"}'}, {Queue.ORDER}),
        ("", {"ORDERD_CONSUME__USER": "exclusive"}, {Queue.USER}),
        ('consume = "exclusive"', {"ORDERD_CONSUME": "shared"}, frozenset()),
        (
            '[consume]\norder = "exclusive"',
            {"ORDERD_CONSUME__USER": "exclusive"},
            {Queue.ORDER, Queue.USER},
        ),
    ],
)
def test_it_says_which_queues_are_for_one_daemon_at_a_time(
    tmp_path: Path, toml: str, environ: dict[str, str], exclusive: frozenset[Queue]
) -> None:
    assert loaded(tmp_path, toml, environ).exclusive_queues == exclusive


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('consume = "exclusiv"', "must be shared or exclusive"),
        ("consume = true", "must be shared or exclusive"),
        ('consume = ""', "must be shared or exclusive"),
        ('[consume]\norder = "alone"', "must be shared or exclusive"),
        ("[consume]\norder = 1", "must be shared or exclusive"),
        ('[consume]\norders = "exclusive"', "unknown queue orders; known: user, product, order"),
    ],
)
def test_what_it_cannot_mean_is_refused(tmp_path: Path, toml: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        loaded(tmp_path, toml, {})


def test_a_text_that_is_no_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not valid JSON"):
        load(None, {}, {"ORDERD_CONSUME": "{order"}, default_file=NOWHERE)


def test_each_queue_of_a_table_is_shown(tmp_path: Path) -> None:
    rows = {row.key: row.value for row in describe(loaded(tmp_path, "", {}), {})}
    assert rows["consume"] == "shared"

    settings = loaded(tmp_path, '[consume]\norder = "exclusive"', {})
    rows = {row.key: row.value for row in describe(settings, {})}
    assert rows["consume.order"] == "exclusive"


def test_a_change_needs_a_restart(tmp_path: Path) -> None:
    before = loaded(tmp_path, "", {})
    after = loaded(tmp_path, 'consume = "exclusive"', {})

    assert reload_settings(before, after).needs_restart == ("consume",)
