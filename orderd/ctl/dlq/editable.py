"""The body of a dead letter as an editor has it: with marks in place of tokens.

Editors keep copies of what they edit: swap files, backups, histories of undo. A mark that is left
as it is becomes the token again, to the byte.
"""

import json
import re
from typing import Final

from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.json_text import pretty
from orderd.protocol.masking import Masker

# Bytes that are no UTF-8 come back as they were.
_BYTES: Final = "surrogateescape"
_MARK: Final = re.compile(r"<(?:JWT|token)\b[^<>]*>")


class Editable:
    """The text for the editor, and the body that its end comes to."""

    def __init__(self, letter: DeadLetter) -> None:
        """Mask the body of *letter*: JSON indented, all else as it is."""
        self._masker = Masker()
        self._is_json = isinstance(letter.request, dict)
        # Some may stand in the body itself.
        self._former = set(_MARK.findall(letter.delivery.body.decode(errors=_BYTES)))
        if self._is_json:
            shown = f"{pretty(self._masker.value(letter.request))}\n"
            self.text = shown.encode(errors="surrogatepass")
        else:
            shown = self._masker.body(letter.delivery.body.decode(errors=_BYTES))
            self.text = shown.encode(errors=_BYTES)

    def restored(self, text: bytes) -> bytes:
        """Return *text* with the tokens in place of their marks."""
        if not self._masker.found:
            return text
        form = _within_quotes if self._is_json else str
        restored = self._masker.restored(text.decode(errors=_BYTES), form)
        return restored.encode(errors=_BYTES)

    def fault(self, body: bytes) -> str | None:
        """Return what is wrong with the marks that are left in *body*, None where none is."""
        left = set(_MARK.findall(body.decode(errors=_BYTES))) - self._former
        if not left:
            return None
        return f"{min(left)} stands for no token: leave a mark as it was, or replace all of it"


def _within_quotes(token: str) -> str:
    return json.dumps(token)[1:-1]
