"""Standard descriptors: those that were closed when the program started are filled."""

import os

_STANDARD = (0, 1, 2)


def occupy(flags: int = os.O_RDWR) -> tuple[int, ...]:
    """Open /dev/null with *flags* in place of each closed standard descriptor; return these.

    To be called before anything is opened: a file, pipe or connection would get the number, and
    what is printed would go there.
    """
    taken = []
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, since the lower ones are taken.
            os.open(os.devnull, flags)
            taken.append(descriptor)
    return tuple(taken)
