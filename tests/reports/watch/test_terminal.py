"""The pace of a watch's lines: what --every asks for is kept, or it is said that it is not."""

import io

import pytest
from rich.console import Console

from auditor.reports.watch.terminal import Board
from auditor.watch.progress import Progress, measure
from auditor.watch.tracker import Tracker


def progress() -> Progress:
    return measure(Tracker({}, presume=False), [], 0.0, 0.0, 60.0)


@pytest.mark.parametrize("every", [None, 0.1, 1.5, 2.7, 10.0, 61.0])
def test_a_line_comes_as_often_as_was_asked_for(every: float | None) -> None:
    now, seconds = 0.0, every or 10.0
    out = io.StringIO()
    board = Board(Console(file=out, width=200), every, clock=lambda: now)
    times: list[float] = []
    while len(times) < 6:
        before = out.tell()
        board.show(progress())
        if out.tell() > before:
            times.append(now)
        now += board.pause() + 1e-9  # a sleep ends a little later
    assert [round(time, 3) for time in times] == [round(seconds * number, 3) for number in range(6)]


def test_where_it_cannot_be_kept_it_is_said_once() -> None:
    out = io.StringIO()
    board = Board(Console(file=out, width=200), 2.0)
    assert board.pause(0.1) == 1.0
    assert out.getvalue() == ""
    assert (board.pause(0.75), board.pause(0.75)) == (3.0, 3.0)
    assert out.getvalue().count("a look at the state takes 0.8 s: one comes every 3.0 s, not 2 s") == 1
    out.truncate(0)
    assert Board(Console(file=out, width=200)).pause(30.0) == 120.0
    assert out.getvalue() == ""
