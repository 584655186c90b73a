"""`orderctl users`: the users that can place orders."""

import argparse
from typing import Final

from orderd.ctl.entity import Entity, Shown, plainly, register_entity
from orderd.protocol.names import Queue


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    register_entity(parser, USERS)


def _no_filters(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: the daemon filters users by nothing."""


USERS: Final = Entity(
    Queue.USER,
    (
        Shown("id", plainly("id"), is_right=True),
        Shown("username", plainly("username"), is_long=True),
        Shown("e-mail", plainly("email"), is_long=True),
        Shown("full name", plainly("full_name"), is_long=True),
        Shown("active", plainly("is_active")),
    ),
    _no_filters,
)
