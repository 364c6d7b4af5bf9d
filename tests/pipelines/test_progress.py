"""Progress lines: a long step shows that it lives, and a short one does not chatter."""

from __future__ import annotations

from sensorssm_pipelines.progress import ProgressLines


def told(calls: list[tuple[float, str, int, int]]) -> list[str]:
    lines: list[str] = []
    now = [0.0]
    progress = ProgressLines(lines.append, every_s=3.0, clock=lambda: now[0])
    for at, step, done, total in calls:
        now[0] = at
        progress(step, done, total)
    return lines


def test_a_long_step_tells_its_start_its_way_and_its_end() -> None:
    calls = [(t, "fitting", t, 10) for t in range(11)]
    assert told(calls) == [
        "fitting ...",
        "fitting: 3 of 10 (30 %)",
        "fitting: 6 of 10 (60 %)",
        "fitting: 9 of 10 (90 %)",
        "fitting: done in 10.0 s",
    ]


def test_a_step_of_one_part_tells_its_end_alone() -> None:
    assert told([(0.0, "reading", 1, 1)]) == ["reading: done in 0.0 s"]


def test_the_same_step_twice_is_told_twice() -> None:
    assert told([(0, "a", 0, 1), (1, "a", 1, 1), (5, "a", 0, 1), (7, "a", 1, 1)]) == [
        "a ...",
        "a: done in 1.0 s",
        "a ...",
        "a: done in 2.0 s",
    ]
