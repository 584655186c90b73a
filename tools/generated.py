"""Writes the manual pages and completion scripts, or checks that those in the tree are current.

`python -m tools.generated` writes them, `python -m tools.generated --check` fails where one
differs. They are kept in the tree, so that an installation needs neither of the two generators.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tools import completions, manual

TREE: Final = Path(__file__).parents[1]


def main() -> int:
    """Write or check the files; return 1 if a checked one differs."""
    parser = argparse.ArgumentParser(prog="python -m tools.generated")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on differences")
    check = parser.parse_args().check
    stale = [path for path, text in files().items() if _differs(TREE / path, text)]
    if check and stale:
        print(f"{', '.join(stale)}: not current; run make docs", file=sys.stderr)
        return 1
    for path in stale:
        (TREE / path).write_text(files()[path], encoding="utf-8")
    return 0


def files() -> Mapping[str, str]:
    """Return the text of each generated file by its path from the top of the tree."""
    # The width of a usage line must not depend on the terminal.
    os.environ["COLUMNS"] = "80"
    pages = {f"docs/man/{name}": text for name, text in manual.pages().items()}
    scripts = {
        f"orderd/ctl/completions/orderctl.{shell}": text
        for shell, text in completions.scripts().items()
    }
    return pages | scripts


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
