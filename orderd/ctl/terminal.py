"""What the terminal of stdout can show: its width, and colours."""

import os
import shutil
import sys
from typing import Final

BOLD: Final = "1"
RED: Final = "1;31"
YELLOW: Final = "1;33"


def width() -> int:
    """Return how many columns the terminal has: COLUMNS, or what it says itself, or 80."""
    return shutil.get_terminal_size().columns


def painted(text: str, style: str) -> str:
    """Return *text* in *style*, or as it is where stdout shows no colours or NO_COLOR is set."""
    is_coloured = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if not is_coloured or os.environ.get("NO_COLOR") or not text:
        return text
    return f"\x1b[{style}m{text}\x1b[0m"
