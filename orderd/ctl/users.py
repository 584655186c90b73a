"""`orderctl users`: who may order."""

import argparse
from typing import Final

from orderd.contract.names import Queue
from orderd.ctl.entity import Entity, Shown, moment, plainly, register_entity


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    register_entity(parser, USERS)


def _no_filters(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: the daemon filters users by nothing."""


USERS: Final = Entity(
    Queue.USER,
    (
        Shown("id", plainly("id"), is_right=True),
        Shown("username", plainly("username")),
        Shown("e-mail", plainly("email")),
        Shown("full name", plainly("full_name")),
        Shown("active", plainly("is_active")),
        moment("created_at"),
        moment("updated_at"),
    ),
    _no_filters,
)
