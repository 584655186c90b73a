"""What is there and cannot be read is refused: it may be what protects."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from orderd.config import bounded_read
from orderd.config.load import ConfigError, Settings, load

Make = Callable[[Path], None]


def load_in(place: Path, **environ: str) -> Settings:
    return load(
        None,
        {},
        environ,
        default_file=place / "etc" / "orderd.toml",
        secrets_directory=place / "secrets",
    )


def reason_of(place: Path, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_in(place, **environ)
    (problem,) = caught.value.problems
    return str(problem)


def dangle(path: Path) -> None:
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def test_what_is_not_there_sets_nothing(tmp_path: Path) -> None:
    assert load_in(tmp_path).origins == {}


@pytest.mark.parametrize("make", [dangle, loop, Path.mkdir])
def test_a_file_that_is_there_and_cannot_be_read_is_refused(tmp_path: Path, make: Make) -> None:
    (tmp_path / "etc").mkdir()
    make(tmp_path / "etc" / "orderd.toml")

    assert reason_of(tmp_path).startswith(f"config ({tmp_path}/etc/orderd.toml): cannot be read: ")


@pytest.mark.parametrize("make", [dangle, loop, Path.touch])
def test_a_file_whose_directory_cannot_be_entered_is_refused(tmp_path: Path, make: Make) -> None:
    make(tmp_path / "etc")

    with pytest.raises(ConfigError) as caught:
        load_in(tmp_path)
    drop_ins, file = map(str, caught.value.problems)
    assert drop_ins.startswith(f"config ({tmp_path}/etc/conf.d): cannot be read: ")
    assert file.startswith(f"config ({tmp_path}/etc/orderd.toml): cannot be read: ")


@pytest.mark.parametrize("make", [dangle, loop, Path.touch])
def test_a_directory_of_secrets_that_cannot_be_listed_is_refused(
    tmp_path: Path, make: Make
) -> None:
    make(tmp_path / "secrets")

    assert reason_of(tmp_path).startswith(f"credentials ({tmp_path}/secrets): cannot be read: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every directory")
def test_a_directory_of_secrets_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o111)

    assert reason_of(tmp_path).endswith("cannot be read: Permission denied")


def test_a_credentials_directory_that_is_named_must_exist(tmp_path: Path) -> None:
    reason = reason_of(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials"))

    assert reason == (
        f"credentials ({tmp_path}/credentials): cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("make", [dangle, loop, Path.mkdir, os.mkfifo, bind])
def test_a_secret_that_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, make: Make) -> None:
    (tmp_path / "secrets").mkdir()
    make(tmp_path / "secrets" / "tokens")

    assert reason_of(tmp_path).startswith(f"tokens ({tmp_path}/secrets/tokens): ")


@pytest.mark.parametrize("name", ["token", "orderd_token", "token__shop__sha256"])
def test_a_credential_that_names_no_setting_is_refused_unread(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hunter2")

    reason = reason_of(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))

    assert reason == (
        f"token (credential {tmp_path}/{name}): unknown setting; did you mean tokens?"
    )


def test_secrets_of_others_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "postgres_password").write_text("hunter2")

    assert load_in(tmp_path).origins == {}


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "batch_max = " + "9" * 5_000])
def test_a_file_that_overstrains_its_parser_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "orderd.toml").write_text(text)

    assert reason_of(tmp_path) == f"config ({tmp_path}/etc/orderd.toml): is too large"


def test_a_pipe_is_read_to_its_end_and_not_waited_for_longer_than_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_read, "_PATIENCE_S", 0.2)
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc" / "orderd.toml")
    nobody = reason_of(tmp_path)
    writer = os.open(tmp_path / "etc" / "orderd.toml", os.O_RDWR)
    endless = reason_of(tmp_path)
    reader, writer_of_pipe = os.pipe()
    os.write(writer_of_pipe, b"batch_max = 7")
    os.close(writer_of_pipe)

    settings = load(Path(f"/dev/fd/{reader}"), {}, {}, secrets_directory=tmp_path / "no")

    assert nobody.endswith("cannot be read: no end within 0.2 s")
    assert endless == nobody
    assert settings.batch_max == 7
    os.close(writer)
    os.close(reader)


def test_names_that_are_not_utf_8_are_refused_and_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"t\xff")).write_text("hunter2")

    with pytest.raises(ConfigError) as caught:
        load_in(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path), **{os.fsdecode(b"ORDERD_\xfe"): "x"})

    assert sorted(map(str, caught.value.problems)) == [
        r"\udcfe (environment variable ORDERD_\udcfe): unknown setting",
        rf"t\udcff (credential {tmp_path}/t\udcff): unknown setting",
    ]


def test_parts_of_the_brokers_address_that_are_not_utf_8_are_refused_and_not_shown(
    tmp_path: Path,
) -> None:
    reason = reason_of(tmp_path, RABBITMQ_PASSWORD=os.fsdecode(b"hunter\xff"))

    assert reason == "rabbitmq_url (environment variables RABBITMQ_PASSWORD): is not UTF-8"
