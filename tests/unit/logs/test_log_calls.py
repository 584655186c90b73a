import ast
from collections.abc import Iterator
from pathlib import Path

import orderd
from orderd.logs.fields import FIELD_NAMES
from orderd.protocol.names import Queue

PACKAGE = Path(orderd.__file__).parent


def calls_of_emit() -> Iterator[tuple[str, ast.Call]]:
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"emit", "logs.emit"}:
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", node


def test_every_log_line_has_only_known_fields() -> None:
    known = {*FIELD_NAMES, "level"}
    unknown = {
        place: names
        for place, call in calls_of_emit()
        if (names := {word.arg for word in call.keywords if word.arg} - known)
    }

    assert unknown == {}


def test_no_other_layer_has_a_logger_of_its_own() -> None:
    strays = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if "getLogger(" in file.read_text() and file.parent.name != "logs"
    ]

    assert strays == []


def test_every_field_of_the_contract_can_be_given_and_one_for_the_rows_of_each_queue() -> None:
    fields = [
        "queue",
        "action",
        "id",
        "correlation_id",
        "actor",
        "outcome",
        "code",
        "attempt",
        "order_id",
        "product_id",
        "user_id",
        "batch_size",
        "duration_ms",
        "error",
    ]

    assert [name for name in FIELD_NAMES if name in fields] == fields
    assert {*FIELD_NAMES} - {*fields} <= {f"{queue}_id" for queue in Queue} <= {*FIELD_NAMES}
