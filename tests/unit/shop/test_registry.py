"""What can be forgotten about an entity or an action is found when it is declared, or here."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any

import pytest

from orderd.protocol.commands import CommandData, ConditionalChange, Get
from orderd.protocol.fields import Text
from orderd.protocol.names import VERSIONS, Queue
from orderd.shop.decide import UndeclaredEvent
from orderd.shop.entity import Action, Entity, WrongRegistry, in_all
from orderd.shop.needs import Needs, nothing
from orderd.shop.order_rows import ORDERS
from orderd.shop.orders import ORDER, OrderUpdateStatus
from orderd.shop.outcomes import Applied
from orderd.shop.products import PRODUCT, PRODUCTS, Product, ProductEvent, ProductUpdate
from orderd.shop.registry import SHOP, Registry, actions_of
from orderd.shop.tables import Column, Kind, Table
from orderd.shop.users import USER, USERS
from orderd.shop.world import NotAskedFor, World
from tests.unit.shop.worlds import DESK, do, order, world_of


class Rename(ConditionalChange):
    """A change that names its row by the usual field."""

    id: int
    name: Text


class Nameless(ConditionalChange):
    """A change that forgot to say which row it is about."""

    name: Text


def never(_world: World, _content: CommandData) -> Applied:
    raise NotImplementedError


def an_action(**more: Any) -> Action[Any]:
    usual = {"events": ((ProductEvent.UPDATED,),), "needs": nothing, "effect": "renames"}
    return Action(**{"name": "rename", "models": in_all(Rename), "rule": never, **usual, **more})


# --- what fails at import


@pytest.mark.parametrize("forgotten", ["name", "models", "needs", "rule", "effect"])
def test_an_action_cannot_be_declared_without_any_of_its_parts(forgotten: str) -> None:
    parts = {
        "name": "rename",
        "models": in_all(Rename),
        "needs": nothing,
        "rule": never,
        "effect": "renames",
    }
    del parts[forgotten]
    declare: Callable[..., Any] = Action

    with pytest.raises(TypeError, match=f"'{forgotten}'"):
        declare(**parts)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"name": "Rename it"}, "should match"),
        ({"name": "r" * 31}, "should match"),
        ({"models": {}}, "there are no versions"),
        ({"models": {"v9": Rename}}, "there are no versions"),
        ({"events": ()}, "changes cause events"),
        ({"models": in_all(Get)}, "queries do not"),
        ({"models": in_all(Nameless)}, "Nameless does not identify a row"),
    ],
)
def test_an_action_that_contradicts_itself_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(WrongRegistry, match=why):
        an_action(**more)


def test_an_event_that_no_action_causes_is_refused() -> None:
    actions = tuple(each for each in PRODUCT.actions if each.name != "adjust_stock")

    with pytest.raises(WrongRegistry, match=r"product\.stock_adjusted"):
        replace(PRODUCT, actions=actions)


@pytest.mark.parametrize("wrong", ["order.renamed", "product.refused", "product.Renamed"])
def test_a_type_of_event_that_is_not_the_entitys_own_is_refused(wrong: str) -> None:
    kinds = StrEnum("kinds", {"RENAMED": wrong})

    with pytest.raises(WrongRegistry, match=wrong):
        replace(PRODUCT, actions=(an_action(events=(tuple(kinds),)),), events=kinds)


def test_a_code_without_a_meaning_is_refused() -> None:
    refusals = dict(list(PRODUCT.refusals.items())[:1])

    with pytest.raises(WrongRegistry, match="insufficient_stock"):
        replace(PRODUCT, refusals=refusals)


@pytest.mark.parametrize(
    ("entities", "why"),
    [
        (SHOP.entities[:-1], "queues user, product, order"),
        (SHOP.entities[::-1], "queues user, product, order"),
        ((*SHOP.entities, ORDER), r"order\.create is twice in v1"),
    ],
)
def test_entities_that_are_not_those_of_the_queues_are_refused(
    entities: tuple[Entity, ...], why: str
) -> None:
    with pytest.raises(WrongRegistry, match=why):
        Registry(entities)


def test_two_entities_of_one_table_are_refused() -> None:
    with pytest.raises(WrongRegistry, match=r"the same name: .*users.*users"):
        registry_with(ORDER, table=USERS, logged={})


def test_one_model_for_two_actions_is_refused() -> None:
    twice = replace(PRODUCT.actions[1], name="update_again")

    with pytest.raises(WrongRegistry, match="is the model of two actions"):
        registry_with(PRODUCT, actions=(*PRODUCT.actions, twice))


def test_rows_that_follow_others_are_locked_after_them() -> None:
    follower = Table("users", USERS.row, (), make=USERS.make, follows=((ORDERS, lambda _: ()),))

    with pytest.raises(WrongRegistry, match="orders are locked before users"):
        registry_with(USER, table=follower, logged={})


# --- what fails loudly when a rule is tried


def test_a_row_that_was_not_asked_for_cannot_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_needs(monkeypatch, ProductUpdate)

    with pytest.raises(NotAskedFor, match="row 1 of table products"):
        do(world_of(), "product", "update", {"id": 1, "price": 1})


def test_a_row_that_was_asked_for_to_see_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_to_see(needs: Needs, content: ProductUpdate) -> None:
        needs.to_see(PRODUCTS, content.id)

    set_action(monkeypatch, ProductUpdate, needs=only_to_see)
    world = world_of()

    with pytest.raises(NotAskedFor, match="is not asked for to change"):
        do(world, "product", "update", {"id": 1, "price": 1})
    assert world.rows[PRODUCTS][1] is DESK


def test_rows_that_an_order_names_cannot_be_changed_unless_they_follow_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_products(needs: Needs, content: OrderUpdateStatus) -> None:
        needs.to_change(ORDERS, content.order_id)

    set_action(monkeypatch, OrderUpdateStatus, needs=without_products)

    with pytest.raises(NotAskedFor, match="row 1 of table products"):
        do(
            world_of(order(desk=2)),
            "order",
            "update_status",
            {"order_id": 7, "status": "cancelled"},
        )


def test_a_unique_value_that_was_not_asked_for_is_not_free() -> None:
    with pytest.raises(NotAskedFor, match="email of table users"):
        world_of().holder_of(USERS, "email", "new@x.org")


def test_only_unique_columns_can_be_looked_up_and_only_what_has_lines_gets_more() -> None:
    needs = Needs()

    with pytest.raises(LookupError, match=r"users\.full_name"):
        needs.to_look_up(USERS, "full_name", "Ann")
    with pytest.raises(LookupError, match="products has no lines"):
        needs.to_make_lines(PRODUCTS, 1)
    with pytest.raises(LookupError, match="products is not declared"):
        needs.to_refer_to(PRODUCTS, 1)


@pytest.mark.parametrize(
    "events",
    [
        (ProductEvent.CREATED,),
        (ProductEvent.UPDATED, ProductEvent.UPDATED),
    ],
)
def test_an_event_that_the_action_does_not_declare_is_an_error(
    monkeypatch: pytest.MonkeyPatch, events: tuple[ProductEvent, ...]
) -> None:
    def broken(world: World, content: ProductUpdate) -> Applied:
        row: Product = replace(DESK, price=content.price, revision=2, updated_at=world.now)
        return Applied(row, (row,), tuple((event, row) for event in events))

    set_action(monkeypatch, ProductUpdate, rule=broken)
    world = world_of()

    with pytest.raises(UndeclaredEvent, match=r"product\.update"):
        do(world, "product", "update", {"id": 1, "price": 1})
    assert world.rows[PRODUCTS][1] is DESK


# --- what is complete


def test_every_queue_has_its_entity_and_every_version_its_models() -> None:
    assert [entity.queue for entity in SHOP.entities] == list(Queue)
    assert list(SHOP.models) == list(VERSIONS)
    assert {(q, "health_check") for q in Queue} <= SHOP.models["v1"].keys()
    ours = [table.name for table in SHOP.lock_order if table in {ORDERS, PRODUCTS, USERS}]
    assert ours == ["orders", "products", "users"]


def test_two_columns_that_may_be_null_could_not_be_told_apart() -> None:
    columns = tuple(Column(name, Kind.NAME, may_be_null=True) for name in ("a", "b"))

    with pytest.raises(ValueError, match="could not be told apart"):
        Table("things", Product, columns, make=Product)


def registry_with(entity: Entity, **changed: Any) -> Registry:
    """Return the registry as it is but for one entity."""
    other = replace(entity, **changed)
    return Registry(tuple(other if each is entity else each for each in SHOP.entities))


def forget_needs(monkeypatch: pytest.MonkeyPatch, model: type[CommandData]) -> None:
    set_action(monkeypatch, model, needs=nothing)


def set_action(
    monkeypatch: pytest.MonkeyPatch, model: type[CommandData], **changed: object
) -> None:
    action: Any = replace(SHOP.actions[model], **changed)  # type: ignore[arg-type]
    monkeypatch.setattr(SHOP, "actions", SHOP.actions | {model: action})


def test_the_actions_on_rows_of_a_user_are_these() -> None:
    owned = {
        f"{queue}.{each.name}"
        for queue, entity in SHOP.by_queue.items()
        for each in actions_of(entity)
        if each.owner is not None
    }

    assert owned == {
        "order.create",
        "order.update",
        "order.update_status",
        "order.get",
        "order.list",
        "user.get",
        "user.update",
    }
