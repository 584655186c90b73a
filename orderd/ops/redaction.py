"""Hides the passwords in URLs and connection strings."""

import re

HIDDEN = "***"

# A password may hold an unescaped "/" or "@", so it ends at the last "@" before white space or
# before the next URL: hiding too much is harmless, hiding too little is not.
_IN_URL = re.compile(r"(?<=://)([^:@/\s]*):((?!://)\S)*@")
# In a URL's query it ends at "&", which is a character like any other in a keyword string.
_IN_QUERY = re.compile(r"([?&]\w*password=)[^\s&]+", re.IGNORECASE)
_IN_DSN = re.compile(
    r"((?<![?&\w])\w*password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|(?:\\.|[^\s'])(?:\\.|\S)*)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return the text with `***` for each password of a URL, a URL's query or a libpq DSN."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
    if "assword" in text.lower():
        text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
        text = _IN_DSN.sub(rf"\1{HIDDEN}", text)
    return text
