import argparse
import io
from decimal import Decimal
from pathlib import Path

import pytest

from orderd.ctl.client import Request
from orderd.ctl.errors import WrongUsage
from orderd.ctl.main import build_parser
from orderd.ctl.request import request_of
from orderd.protocol.envelope import Command, decode
from orderd.shop.products import ProductCreate
from orderd.shop.registry import SHOP
from tests.support.commands import let_in


def parsed(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["publish", "product", "create", *arguments])


def asked(*arguments: str) -> Request:
    return request_of(parsed(*arguments))


def test_the_daemon_reads_what_was_typed() -> None:
    price = '{"name": "Cable", "price": 2.50, "stock_quantity": 7}'

    body = asked(price, "--id", "r1", "--version", "v2").body()
    command = decode("product", body, None, 0, 1024, models=SHOP.models, permit=let_in)

    assert isinstance(command, Command)
    assert (command.request_id, command.action, command.version) == ("r1", "create", "v2")
    assert isinstance(command.content, ProductCreate)
    assert command.content.price == Decimal("2.50")


def test_a_price_keeps_its_digits() -> None:
    body = asked('{"price": 12345678901234567890.10}').body()

    assert b'"price":12345678901234567890.10' in body


def test_a_request_without_an_id_gets_its_own() -> None:
    first, second = asked().request_id, asked().request_id

    assert first
    assert first != second


def test_data_is_an_empty_object_by_default() -> None:
    assert asked("--id", "r1").body() == b'{"id":"r1","action":"create","data":{}}'


def test_data_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "product.json"
    file.write_text('{"name": "Käse"}')

    assert asked(f"@{file}").content == {"name": "Käse"}


def test_data_can_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"name": "x"}')))

    assert asked("-").content == {"name": "x"}


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("{", "JSON: is not JSON"),
        ("[]", "must be a JSON object"),
        ("3", "must be a JSON object"),
        ('{"a": NaN}', "NaN, which is not a JSON number"),
        ('{"a": 1, "a": 2}', "has the key"),
        ('{"a": "\udcff"}', "not UTF-8"),
        ("@/nonexistent/file", "/nonexistent/file: No such file"),
        ("@/", "/: Is a directory"),
    ],
)
def test_unusable_data_is_wrong_usage(argument: str, reason: str) -> None:
    with pytest.raises(WrongUsage) as failure:
        asked(argument)

    assert reason in str(failure.value)


def test_the_token_comes_from_a_file_or_else_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")

    assert asked().token is None
    monkeypatch.setenv("ORDERD_TOKEN", "from-environment")
    assert asked().token == "from-environment"
    assert asked("--auth-file", str(file)).token == "from-file"
    assert b'"auth":"from-file"' in asked("--auth-file", str(file)).body()


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Request("order", "list", {}, token="secret"))


def test_an_empty_token_file_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("\n")

    with pytest.raises(WrongUsage, match="does not contain a token"):
        asked("--auth-file", str(file))
