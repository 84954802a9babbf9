"""One training at a time on a machine: first come, first served, and nobody waits for the dead."""

import psutil
import pytest
import running
from running import ENDLESS, made, state, until

from explorer import line
from explorer.ui import progress
from train.__main__ import main

home, launched = running.home, running.launched  # the fixtures


def test_runs_are_trained_in_the_order_in_which_they_came(launched):
    first, second, third = (made(title=f"Run {k}", epochs=ENDLESS) for k in range(3))
    launched(first)
    until(lambda: first.records())
    launched(second)
    until(lambda: line.ahead(second) == [first.name])
    launched(third)
    until(lambda: line.ahead(third) == [first.name, second.name])
    assert line.ahead(first) == []
    assert [state(run) for run in (second, third)] == ["queued", "queued"]
    assert "Waits for Run 0 to end" in progress.waits_for(second)
    assert "Run 0 and 1 more" in progress.waits_for(third)

    second.stop()  # whoever waits can be told not to
    until(lambda: state(second) == "stopped")
    first.stop("paused")
    until(lambda: third.records())
    assert state(first) == "paused"
    assert line.ahead(third) == []


def test_nobody_waits_for_the_dead(launched):
    first, second = made(epochs=ENDLESS), made(epochs=ENDLESS)
    process = launched(first)
    until(lambda: line.waiting() == [first.name])
    launched(second)
    until(lambda: line.ahead(second))
    psutil.Process(process.pid).kill()
    process.wait(20)
    until(lambda: second.records())
    assert state(first) == "died"


def test_who_is_in_a_hurry_does_not_wait(capsys):
    first, second = made(), made()
    with first.hold(), line.turn(first):
        assert main(["resume", str(second.folder), "--now"]) == 0
    assert state(second) == "done"
    assert line.waiting() == []


def test_a_private_runs_name_is_told_to_nobody(home):
    from explorer.runs import Run

    mine = Run.create("mine", {"title": "Mine"}, private=True)
    other = made()
    with line.turn(mine), line.turn(other, at_once=True):
        assert line.ahead(other) == [mine.name]
        assert mine.name not in progress.waits_for(other)
        assert "private" in progress.waits_for(other)


@pytest.mark.parametrize("left", ["000001-gone", "000009-gone"])
def test_what_the_dead_left_behind_is_swept(home, left):
    run = made()
    place = line._home() / left
    place.parent.mkdir(parents=True)
    place.touch()
    with line.turn(run):
        assert line.waiting() == [run.name]
        assert not place.exists()
