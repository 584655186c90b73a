"""The files of the operator and of the package: which one counts, and what is wrong in which."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orderd.config.load import ConfigError, Settings, load
from orderd.config.reference import describe

SHA256 = "ab" * 32
Load = Callable[..., Settings]


@pytest.fixture
def conf_d(tmp_path: Path) -> Path:
    """The directory of drop-ins, beside the configuration file."""
    directory = tmp_path / "conf.d"
    directory.mkdir()
    return directory


@pytest.fixture
def load_here(tmp_path: Path) -> Load:
    """Load what is in the directory of the test."""

    def load_(before: Settings | None = None) -> Settings:
        return load(
            None,
            {},
            {},
            default_file=tmp_path / "orderd.toml",
            secrets_directory=tmp_path / "secrets",
            shipped_file=tmp_path / "shipped.toml",
            before=before,
        )

    return load_


def test_a_later_name_counts_more_than_an_earlier_the_file_and_what_is_shipped(
    tmp_path: Path, conf_d: Path, load_here: Load
) -> None:
    (tmp_path / "shipped.toml").write_text("batch_max = 1\nprefetch = 1\nheartbeat = 11\n")
    (tmp_path / "orderd.toml").write_text("batch_max = 2\nprefetch = 2\npoison_after = 2\n")
    (conf_d / "10-size.toml").write_text("batch_max = 3\nprefetch = 3\n")
    (conf_d / "20-size.toml").write_text("batch_max = 4\n")

    settings = load_here()

    assert settings.batch_max == 4
    assert settings.prefetch == 3
    assert settings.poison_after == 2
    assert settings.heartbeat == 11
    assert settings.origins["batch_max",] == f"file {conf_d}/20-size.toml"


def test_tables_of_several_files_are_one_and_each_entry_has_its_own_source(
    tmp_path: Path, conf_d: Path, load_here: Load
) -> None:
    (tmp_path / "orderd.toml").write_text(f'[tokens.a]\nsha256 = "{SHA256}"\nallow = ["*"]\n')
    other = "cd" * 32
    (conf_d / "b.toml").write_text(f'[tokens.b]\nsha256 = "{other}"\nallow = ["user.get"]\n')

    settings = load_here()

    assert set(settings.tokens) == {"a", "b"}
    sources = {row.key: row.source for row in describe(settings, {})}
    assert sources["tokens.a"] == f"file {tmp_path}/orderd.toml"
    assert sources["tokens.b"] == f"file {conf_d}/b.toml"


def test_what_is_hidden_or_is_called_otherwise_is_passed_over(
    conf_d: Path, load_here: Load
) -> None:
    for name in (".batch.toml", "batch.toml.dpkg-old", "batch.toml~", "README"):
        (conf_d / name).write_text("batch_max = 3\n")

    assert load_here().batch_max == 200


def test_the_faults_of_all_files_are_named_with_their_file(
    tmp_path: Path, conf_d: Path, load_here: Load
) -> None:
    (tmp_path / "orderd.toml").write_text("batch_max = 0\n")
    (conf_d / "a.toml").write_text("batch_max\n")
    (conf_d / "b.toml").symlink_to("nowhere")

    with pytest.raises(ConfigError) as caught:
        load_here()

    texts = sorted(map(str, caught.value.problems))
    assert texts[0].startswith(f"batch_max = 0 (file {tmp_path}/orderd.toml): ")
    assert texts[1].startswith(f"config ({conf_d}/a.toml): is not TOML: ")
    assert texts[2].startswith(f"config ({conf_d}/b.toml): cannot be read: ")


def test_a_file_of_the_command_line_has_no_drop_ins(tmp_path: Path, conf_d: Path) -> None:
    (tmp_path / "own.toml").write_text("prefetch = 9\n")
    (conf_d / "a.toml").write_text("batch_max = 3\n")

    settings = load(tmp_path / "own.toml", {}, {}, default_file=tmp_path / "orderd.toml")

    assert (settings.batch_max, settings.prefetch) == (200, 9)


def test_a_drop_in_that_is_empty_for_a_moment_takes_nothing_away_at_a_reload(
    conf_d: Path, load_here: Load
) -> None:
    (conf_d / "a.toml").write_text("batch_max = 3\n")
    before = load_here()
    (conf_d / "a.toml").write_text("")

    with pytest.raises(ConfigError, match="is empty"):
        load_here(before)

    (conf_d / "a.toml").unlink()
    assert load_here(before).batch_max == 200


def test_a_line_that_was_appended_behind_a_table_is_told_where_it_has_to_stand(
    tmp_path: Path, load_here: Load
) -> None:
    token = f'[tokens.a]\nsha256 = "{SHA256}"\nallow = ["*"]\n'
    (tmp_path / "orderd.toml").write_text(f"{token}batch_max = 3\n")

    with pytest.raises(ConfigError) as caught:
        load_here()

    (problem,) = caught.value.problems
    assert problem.reason == (
        "unknown setting; batch_max has to stand before the first [table] of its file"
    )
