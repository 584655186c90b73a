"""Dead letters on disk, so that any number of them needs the memory of one."""

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from orderd.amqp.message import Delivery
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.errors import Failure


class Spool:
    """A file without a name, which is gone with the program however it ends."""

    def __init__(self) -> None:
        """Make the file, empty."""
        self._file = tempfile.TemporaryFile(prefix="orderctl-")  # noqa: SIM115 (closed by __exit__)
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def fill(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Write *dead_letters* down; raises Failure where there is no room for them."""
        try:
            for dead_letter in dead_letters:
                pickle.dump(dead_letter.delivery, self._file, pickle.HIGHEST_PROTOCOL)
                self.count += 1
            self._file.flush()
        except OSError as error:
            raise Failure(
                f"{tempfile.gettempdir()}: {error.strerror}; nothing replayed; set TMPDIR to a "
                "directory with room for the dead letters"
            ) from error

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield them in their order; once."""
        self._file.seek(0)
        for _ in range(self.count):
            # Written above, by this very program.
            delivery: Delivery = pickle.load(self._file)  # noqa: S301
            yield DeadLetter(delivery)
