"""The SQL of orderd, by name: each block of ``sql/queries/*.sql`` begins with ``-- name: …``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def sql_folder(name: str) -> Path:
    """Return the folder ``sql/<name>``: in the installed package, else in the source tree."""
    package = Path(__file__).parents[1]
    packaged = package / "sql" / name
    return packaged if packaged.is_dir() else package.parent / "sql" / name


def load_queries() -> Mapping[str, str]:
    """Return every named query, name to SQL."""
    queries: dict[str, str] = {}
    for source in sorted(sql_folder("queries").iterdir(), key=lambda file: file.name):
        if source.name.endswith(".sql"):
            _, *parts = _NAME.split(source.read_text(encoding="utf-8"))
            for name, sql in zip(parts[::2], parts[1::2], strict=True):
                if name in queries:
                    raise ValueError(f"{source.name}: the query {name} is defined twice")
                queries[name] = sql.strip()
    return queries
