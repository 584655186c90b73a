"""Debian's forms of CHANGELOG.md: changelog and NEWS of the package."""

import re
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from tools.debian_root import TREE

CHANGELOG: Final = TREE / "CHANGELOG.md"
_WIDTH: Final = 78
_NEWS: Final = re.compile(r"(?ms)^### Before you upgrade\n+(.+?)(?=^##)")
_ITEM: Final = re.compile(r"(?ms)^- (.+?)(?=^- |\Z)")


def changelog(version: str) -> str:
    """Return one entry, which names the file where the changes are told."""
    return _entry(version, "  * See changelog.gz beside this file for what is new.")


def news(version: str) -> str:
    """Return what the newest section of the changelog tells to do before an upgrade."""
    found = _NEWS.search(CHANGELOG.read_text())
    assert found, "CHANGELOG.md: no section tells what to do before an upgrade"
    items = [" ".join(item.split()) for item in _ITEM.findall(found[1])]
    wrapped = (
        textwrap.fill(item, _WIDTH, initial_indent="  ", subsequent_indent="  ") for item in items
    )
    return _entry(version, "\n\n".join(wrapped))


def _entry(version: str, text: str) -> str:
    changed = format_datetime(datetime.fromtimestamp(CHANGELOG.stat().st_mtime, UTC))
    control = (TREE / "systemd/debian/control").read_text()
    maintainer = re.search(r"^Maintainer: (.+)$", control, re.MULTILINE)
    assert maintainer, "systemd/debian/control: no Maintainer"
    head = f"orderd ({version}) unstable; urgency=medium"
    return f"{head}\n\n{text}\n\n -- {maintainer[1]}  {changed}\n"
