"""FastStream on RabbitMQ with SQLAlchemy's asyncio extension on asyncpg: a session a message."""

import asyncio
import os
from decimal import Decimal
from typing import Any

from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, ForeignKey, Numeric, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bench.peers.servers import DATABASE_URL, ORDERS_QUEUE, RABBITMQ_URL


class Base(DeclarativeBase):
    """The tables."""

    type_annotation_map = {int: BigInteger}  # noqa: RUF012 - as SQLAlchemy wants it


class User(Base):
    """Who orders."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]


class Product(Base):
    """What is ordered."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    stock_quantity: Mapped[int]


class Order(Base):
    """An order, with its items."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    status: Mapped[str] = mapped_column(default="pending")
    total_amount: Mapped[Decimal] = mapped_column(Numeric(24, 2))
    items: Mapped[list["OrderItem"]] = relationship(back_populates="order")


class OrderItem(Base):
    """One line of an order."""

    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    order: Mapped[Order] = relationship(back_populates="items")


class ItemData(BaseModel):
    """A line of a command."""

    product_id: int
    quantity: int = Field(gt=0)


class OrderData(BaseModel):
    """What a command orders."""

    user_id: int
    items: list[ItemData]


class Command(BaseModel):
    """The body of a message."""

    id: str
    version: str
    action: str
    data: OrderData


def channel_options() -> dict[str, Any]:
    """Return how the channel is opened; without PREFETCH as FastStream does it by itself."""
    prefetch = os.environ.get("PREFETCH")
    return {"default_channel": Channel(prefetch_count=int(prefetch))} if prefetch else {}


engine = create_async_engine(DATABASE_URL.replace("postgresql://", "postgresql+asyncpg://"))
new_session = async_sessionmaker(engine, expire_on_commit=False)
broker = RabbitBroker(RABBITMQ_URL, logger=None, **channel_options())
app = FastStream(broker, logger=None)


@broker.subscriber(RabbitQueue(ORDERS_QUEUE, durable=True))
async def create_order(command: Command) -> None:
    """Write one order in a session of its own."""
    async with new_session() as session, session.begin():
        await place_order(session, command.data)


async def place_order(session: AsyncSession, data: OrderData) -> None:
    """Add the order and take its stock."""
    if await session.get(User, data.user_id) is None:
        raise ValueError("user_not_found")
    wanted = [item.product_id for item in data.items]
    statement = select(Product).where(Product.id.in_(wanted)).order_by(Product.id)
    found = await session.scalars(statement.with_for_update())
    products = {product.id: product for product in found}
    order = Order(user_id=data.user_id, total_amount=Decimal(0), items=[])
    for item in data.items:
        product = products[item.product_id]
        if product.stock_quantity < item.quantity:
            raise ValueError("insufficient_stock")
        product.stock_quantity -= item.quantity
        order.total_amount += product.price * item.quantity
        order.items.append(
            OrderItem(product_id=product.id, quantity=item.quantity, unit_price=product.price)
        )
    session.add(order)


if __name__ == "__main__":
    asyncio.run(app.run())
