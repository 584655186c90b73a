"""Limits that those who send commands need too; nothing heavy is imported for them."""

from typing import Final

REQUEST_ID_MAX: Final = 255
LIST_LIMIT_MAX: Final = 500
LIST_LIMIT_DEFAULT: Final = 50
