"""`orderctl config check --program orderd-notify` finds what keeps that daemon from sending."""

from pathlib import Path

import pytest

from orderd.ctl.main import main as orderctl

WITHOUT_PASSWORD = """
[notify]
templates = "{templates}"

[[notify.channel]]
kind = "smtp"
for = "users"
url = "smtp://orders@mail.example.com"
from = "orders@example.com"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose channel has no password, with a template that is none."""
    monkeypatch.setenv("ORDERD_RABBITMQ_URL", "amqp://localhost")
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "order.shipped.txt").write_text("subject: {{ order\n\nGone.\n")
    file = tmp_path / "orderd.toml"
    file.write_text(WITHOUT_PASSWORD.format(templates=templates))
    return file


def test_a_check_for_orderd_notify_looks_at_channels_and_templates(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = orderctl(["config", "check", f"--config={file}", "--program=orderd-notify"])

    said = capsys.readouterr().err
    assert code == 78
    assert "there is no credential notify_smtp" in said
    assert "order.shipped.txt" in said


def test_a_check_for_orderd_does_not(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert orderctl(["config", "check", f"--config={file}"]) == 0
    assert "the configuration is valid" in capsys.readouterr().out


def test_what_is_shown_for_orderd_notify_has_its_defaults(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orderctl(["config", "show", f"--config={file}", "--program=orderd-notify"])

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "batch_max" in line]
    assert line.split()[:2] == ["batch_max", "10"]
    assert "default of orderd-notify" in line
