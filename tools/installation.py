"""Where server programs are installed: on this machine, or in a root file system of their own."""

import os
import pwd
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Runs a program in a root file system, which is read-only to it. All mounts are in a namespace of
# the program's own and end with it, however it ends. The scratch folder has the same path inside;
# it hides what the root has in the first folder of that path. The shell becomes the program, so
# the program has the pid of the shell.
_ENTER: Final = """
set -e
root=$0 scratch=$1
shift
below=${scratch#/}
first=/${below%%/*}
mkdir -p "$root$first"
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 orderd "$root$first"
mkdir -p "$root$scratch"
mount --bind "$scratch" "$root$scratch"
exec chroot "$root" env --chdir="$scratch" "$@"
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs below `root`; paths are given and taken as those programs see them."""

    root: Path = Path("/")

    def command(
        self, argv: Sequence[str], *, scratch: Path, user: str | None = None
    ) -> tuple[str, ...]:
        """Return what runs a program of the installation, as *user*, with its files in *scratch*.

        What is run so ends as one process, with the pid of the program itself.
        """
        as_user = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        program = (*as_user, *argv) if user is not None else tuple(argv)
        if self.root == Path("/"):
            return program
        enter = ("unshare", "--mount", "sh", "-c", _ENTER)
        return (*enter, f"{self.root}", f"{scratch.resolve()}", *program)

    def glob(self, *patterns: str) -> list[Path]:
        """Return the paths of the first pattern that has any."""
        for pattern in patterns:
            if found := sorted(self.root.glob(pattern)):
                return [Path("/") / path.relative_to(self.root) for path in found]
        return []

    def which(self, program: str) -> str | None:
        """Return the path of a program, wherever an administrator would find it."""
        if self.root == Path("/"):
            return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        found = self.glob(f"usr/bin/{program}", f"usr/sbin/{program}")
        return str(found[0]) if found else None

    def user_id(self, name: str) -> int:
        """Return the number of a user there; KeyError when there is no such user."""
        if self.root == Path("/"):
            return pwd.getpwnam(name).pw_uid
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2])
        raise KeyError(name)


HERE: Final = Installation()


def newest(paths: Sequence[Path]) -> Path:
    """Return the path with the highest version number in it."""
    return max(paths, key=_numbers)


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in "".join(c if c.isdigit() else " " for c in str(path)).split()]
