"""The way of a search: everything is looked at, in pieces where it takes long, and seldom then."""

from itertools import pairwise

import pytest

from orderd.pipeline.outbox.search import ID_MAX, ID_MIN, Search

FAST_S = 0.001


def way(search: Search, *, cost_s: float, dead: range) -> list[tuple[int, int]]:
    """Return the pieces of one search, where each of the ids in *dead* costs *cost_s* seconds."""
    pieces = []
    for _ in range(10_000):
        piece = (search.after, search.upto)
        read = len(range(max(dead.start, piece[0] + 1), min(dead.stop, piece[1] + 1)))
        if read * cost_s > 0.5:
            search.took_too_long()
            continue
        pieces.append(piece)
        if search.went_on(FAST_S + read * cost_s, None, has_found=False):
            return pieces
    pytest.fail("it has no end")


def test_what_is_read_fast_is_read_at_once() -> None:
    search = Search()

    assert way(search, cost_s=0.0, dead=range(0)) == [(ID_MIN, ID_MAX)]
    assert way(search, cost_s=0.0, dead=range(0)) == [(ID_MIN, ID_MAX)]


@pytest.mark.parametrize("dead", [range(30_000_000), range(10**12, 10**12 + 30_000_000)])
def test_what_takes_long_is_read_in_pieces_without_a_gap(dead: range) -> None:
    search = Search()

    for pieces in [way(search, cost_s=3e-7, dead=dead) for _ in range(2)]:
        assert pieces[0][0] == ID_MIN
        assert pieces[-1][1] == ID_MAX
        assert all(this[1] == that[0] for this, that in pairwise(pieces))
        assert 20 < len(pieces) < 500


def test_a_search_that_found_nothing_pauses_in_proportion_to_its_cost() -> None:
    in_vain, successful = Search(), Search()
    assert in_vain.is_due

    in_vain.went_on(100.0, None, has_found=False)
    successful.went_on(100.0, None, has_found=True)

    assert (in_vain.is_due, successful.is_due) == (False, True)


def test_a_piece_that_was_not_read_to_its_end_goes_on_behind_the_last_row() -> None:
    search = Search()

    assert not search.went_on(FAST_S, 500, has_found=True)

    assert (search.after, search.upto) == (500, ID_MAX)
    assert search.went_on(FAST_S, None, has_found=False)
    assert search.after == ID_MIN
