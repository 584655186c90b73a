"""Hides the passwords in URLs and connection strings."""

import re
from urllib.parse import unquote

HIDDEN = "***"

# A password may hold an unescaped "/" or "@", so it ends at the last "@" before white space or
# before the next URL: hiding too much is harmless, hiding too little is not.
_IN_URL = re.compile(r"(?<=://)([^:@/\s]*):((?!://)\S)*@")
# In one URL, the user ends at the first of these; where that is not ":", the password is in a wrong
# place.
_IN_BROKEN_URL = re.compile(r"^(\w+://[^:/?#@]*)[:/?#].*@", re.DOTALL)
# In a URL's query it ends at "&", which is a character like any other in a keyword string.
_IN_QUERY = re.compile(r"([?&]\w*password=)[^\s&]+", re.IGNORECASE)
_IN_DSN = re.compile(
    r"((?<![?&\w])\w*password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|(?:\\.|[^\s'])(?:\\.|\S)*)",
    re.IGNORECASE,
)
# pika's options for TLS are a table as text, the password of the key among them. Its names may be
# percent-encoded; whatever follows is hidden with it, for the password may hold an unescaped "&".
_OPTION = re.compile(r"[?&]([A-Za-z0-9_%]+)=\S*")
_TLS_OPTIONS = "ssl_options"


def redact(text: str) -> str:
    """Return the text with `***` for each password of a URL, a URL's query or a libpq DSN.

    Also for the TLS options of an AMQP URL, and for what follows them.
    """
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
        text = _without_tls_options(text)
    if "assword" in text.lower():
        text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
        text = _IN_DSN.sub(rf"\1{HIDDEN}", text)
    return text


def redact_url(url: str) -> str:
    """Return one URL without its password and its query, even when it is malformed."""
    return _IN_BROKEN_URL.sub(rf"\1:{HIDDEN}@", url).split("?", 1)[0]


def _without_tls_options(text: str) -> str:
    start = 0
    while option := _OPTION.search(text, start):
        start = option.end(1)
        if unquote(option[1]).lower() == _TLS_OPTIONS:
            text = f"{text[:start]}={HIDDEN}{text[option.end() :]}"
    return text
