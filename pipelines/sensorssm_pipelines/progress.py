"""How far a long step has come: jobs say it, the caller decides where it is shown."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

#: Called with what is being done, how many parts are done, and how many there are.
Progress = Callable[[str, int, int], None]


def silent(step: str, done: int, total: int) -> None:
    """Show nothing."""


class ProgressLines:
    """Write a line when a step begins, every few seconds while it lasts, and when it is done."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        every_s: float = 3.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._write, self._every_s, self._clock = write, every_s, clock
        self._step, self._began, self._told = "", 0.0, 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = self._clock()
        if step != self._step:
            self._step, self._began, self._told = step, now, now
            if done < total:
                self._write(f"{step} ...")
        if done >= total:
            self._write(f"{step}: done in {now - self._began:.1f} s")
            self._step = ""
        elif now - self._told >= self._every_s:
            self._told = now
            self._write(f"{step}: {done} of {total} ({100 * done // total} %)")
