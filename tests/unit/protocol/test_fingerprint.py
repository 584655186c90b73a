import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest

from orderd.protocol.envelope import Command
from orderd.shop.registry import SHOP
from tests.support.commands import command, decoded_from, delivery

ITEMS = [{"product_id": 1, "quantity": 2}, {"product_id": 3, "quantity": 1}]
ARGUMENTS: dict[tuple[str, str], dict[str, Any]] = {
    ("product", "create"): {"name": "lamp", "price": "149.99", "stock_quantity": 7},
    ("product", "update"): {"id": 1, "name": "lamp", "price": 5},
    ("product", "mark_out_of_stock"): {"id": 1},
    ("product", "adjust_stock"): {"id": 1, "delta": -2},
    ("user", "create"): {"username": "ann", "email": "ann@x.org", "is_active": True},
    ("user", "update"): {"id": 1, "full_name": None},
    ("order", "create"): {"user_id": 1, "items": ITEMS, "priority": "high"},
    ("order", "update_status"): {"order_id": 1, "status": "shipped"},
    ("order", "update"): {"order_id": 1, "items": ITEMS, "priority": "low"},
}
# These stand in the ledgers of running shops. Another value here makes each request that is
# delivered again after the upgrade an id_conflict: then the ledger needs a migration, or a version.
PINNED = {
    ("product", "create", "v1"): "2727736ceffcb46c6ab0da9dc676894b",
    ("product", "create", "v2"): "57cdf24d2435ae070273f59df8e31611",
    ("product", "update", "v1"): "cd08c9e59bef315d3663f1503fa8d41a",
    ("product", "update", "v2"): "70636be5055ecded9de586569fca25f5",
    ("product", "mark_out_of_stock", "v1"): "d14b3abf0abe6486e4ab4b87225c5526",
    ("product", "mark_out_of_stock", "v2"): "25dadbb590e0e919b475e29df6b5d34c",
    ("product", "adjust_stock", "v2"): "688a8d076007126c92e19a98aecd1e31",
    ("user", "create", "v1"): "255f90891373b6293dd9404b139a11aa",
    ("user", "create", "v2"): "9181b895542eff8688b9187b1d0a61fa",
    ("user", "update", "v1"): "5e0004236e7850fcdd692efb1bd08111",
    ("user", "update", "v2"): "559f86d02d6a4e417b706b261661162a",
    ("order", "create", "v2"): "c850a787240562cddd58b36aed799851",
    ("order", "update_status", "v1"): "171dce07c170799cf9c9647f6d7598f1",
    ("order", "update_status", "v2"): "01ac0c98f49d0c7b4707f2681f2558c9",
    ("order", "update", "v2"): "21c4369b65c3b43e03a3202ac0ea2ac0",
}


def of(queue: str, body: str | Mapping[str, Any]) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    decoded = decoded_from(delivery(queue, text.encode()))
    assert isinstance(decoded, Command), decoded
    return decoded.fingerprint


def versions_of(kind: tuple[str, str]) -> list[str]:
    names = ["v1", "v2"] if "priority" not in ARGUMENTS[kind] else ["v2"]
    return [version for version in names if kind in SHOP.models[version]]


def pinned_by_entities() -> dict[tuple[str, str, str], tuple[dict[str, Any], str]]:
    """Return what the entities' own tests pin: arguments and fingerprint by action and version."""
    pinned = {}
    for entity in SHOP.entities:
        module = import_module(f"tests.unit.shop.test_{entity.table.name}")
        for (action, version), pin in getattr(module, "FINGERPRINTS", {}).items():
            pinned[str(entity.queue), action, version] = pin
    return pinned


def test_every_change_has_a_pinned_fingerprint() -> None:
    kinds = {
        (*kind, version)
        for version, models in SHOP.models.items()
        for kind, model in models.items()
        if not model.is_query
    }
    by_entities = pinned_by_entities()

    # What v1 takes of an order is part of what v2 takes.
    assert kinds - by_entities.keys() - PINNED.keys() <= {
        ("order", "create", "v1"),
        ("order", "update", "v1"),
    }
    assert {
        kind: command(*kind[:2], arguments, version=kind[2]).fingerprint
        for kind, (arguments, _) in by_entities.items()
    } == {kind: fingerprint for kind, (_, fingerprint) in by_entities.items()}
    found = {
        (*kind, version): command(*kind, ARGUMENTS[kind], version=version).fingerprint
        for kind in ARGUMENTS
        for version in versions_of(kind)
    }
    assert found == PINNED


@pytest.mark.parametrize(
    "body",
    [
        '{"action":"create","data":{"name":"lamp","price":1,"stock_quantity":5}}',
        '{"data":{"stock_quantity":5,"price":1,"name":"lamp"},"action":"create"}',
        '{ "action" : "create",\n "data" : {"name":"lamp","price":1,"stock_quantity":5 } }',
        '{"action":"create","version":"v1","data":{"name":"lamp","price":1,"stock_quantity":5}}',
        '{"action":"create","data":{"name":" lamp ","price":1,"stock_quantity":5}}',
        '{"action":"create","data":{"name":"l\\u0061mp","price":1,"stock_quantity":5}}',
        '{"action":"create","data":{"name":"lamp","price":1.0,"stock_quantity":5}}',
        '{"action":"create","data":{"name":"lamp","price":1.00,"stock_quantity":5}}',
        '{"action":"create","data":{"name":"lamp","price":"1.00","stock_quantity":5}}',
        '{"action":"create","data":{"name":"lamp","price":1e0,"stock_quantity":5}}',
        '{"action":"create","data":{"name":"lamp","price":"10e-1","stock_quantity":5}}',
        '{"action":"create","id":"r","data":{"name":"lamp","price":1,"stock_quantity":5}}',
        '{"action":"create","auth":"t","data":{"name":"lamp","price":1,"stock_quantity":5}}',
        '{"action":"create","more":1,"data":{"name":"lamp","price":1,"stock_quantity":5}}',
    ],
)
def test_the_same_content_in_another_spelling_has_the_same_fingerprint(body: str) -> None:
    plain = {"action": "create", "data": {"name": "lamp", "price": 1, "stock_quantity": 5}}

    assert of("product", body) == of("product", plain)


OTHERS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("product", "create"): [{"name": "desk"}, {"price": "149.98"}, {"stock_quantity": 8}],
    ("product", "update"): [
        {"id": 2},
        {"name": "desk"},
        {"price": 6},
        {"stock_quantity": 0},
        {"if_revision": 1},
    ],
    ("product", "mark_out_of_stock"): [{"id": 2}, {"if_revision": 1}],
    ("product", "adjust_stock"): [{"id": 2}, {"delta": 2}, {"if_revision": 1}],
    ("user", "create"): [
        {"username": "bob"},
        {"email": "b@x.org"},
        {"is_active": False},
        {"full_name": "Ann"},
    ],
    ("user", "update"): [
        {"id": 2},
        {"full_name": "Ann"},
        {"is_active": True},
        {"email": "b@x.org"},
        {"if_revision": 1},
        {"if_revision": 2},
    ],
    ("order", "create"): [
        {"user_id": 2},
        {"priority": "low"},
        {"items": ITEMS[:1]},
        {"items": [*ITEMS, {"product_id": 4, "quantity": 1}]},
        {"items": [ITEMS[0], {"product_id": 3, "quantity": 2}]},
    ],
    ("order", "update_status"): [{"order_id": 2}, {"status": "cancelled"}, {"if_revision": 1}],
    ("order", "update"): [
        {"order_id": 2},
        {"items": ITEMS[:1]},
        {"priority": "high"},
        {"status": "pending"},
        {"if_revision": 1},
    ],
}


@pytest.mark.parametrize("kind", ARGUMENTS, ids=".".join)
def test_any_other_field_makes_another_fingerprint(kind: tuple[str, str]) -> None:
    contents = [ARGUMENTS[kind], *(ARGUMENTS[kind] | other for other in OTHERS[kind])]

    prints = {command(*kind, one, version="v2").fingerprint for one in contents}

    assert len(prints) == len(contents)


def test_queue_action_and_version_belong_to_the_content() -> None:
    prints = {
        command("product", "mark_out_of_stock", {"id": 1}).fingerprint,
        command("product", "mark_out_of_stock", {"id": 1}, version="v2").fingerprint,
        command("product", "get", {"id": 1}).fingerprint,
        command("user", "get", {"id": 1}).fingerprint,
        command("order", "get", {"id": 1}).fingerprint,
        command("order", "get", {"order_id": 1}).fingerprint,
    }

    assert len(prints) == 6
