"""One line of progress every few seconds. No torch."""

import sys
import time
from collections.abc import Callable
from io import StringIO
from typing import TextIO


class Progress:
    """Tells on a text stream how far a count has come, how fast it goes and when it will end.

    Args:
        label: what is being done, `predict session0.mp4` for instance.
        total: the count at the end.
        show: None = only if the stream is a terminal.
        stream: where to; stderr if not given.
        every: seconds between two lines.
        clock: seconds, monotonic.
        done: of the total, finished before.
    """

    def __init__(
        self,
        label: str,
        total: int,
        show: bool | None = None,
        stream: TextIO | StringIO | None = None,
        *,
        every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        done: int = 0,
    ) -> None:
        self.label, self.total = label, total
        self._stream = stream or sys.stderr
        self._show = self._stream.isatty() if show is None else show
        self._every, self._clock = every, clock
        self._before = self._done = done
        self._begun = self._last = clock()

    def add(self, more: int) -> None:
        """`more` of the total are finished."""
        if more:
            self.update(self._done + more)

    def update(self, done: int) -> None:
        """`done` of the total are finished."""
        self._done, now = done, self._clock()
        if self._show and (now - self._last >= self._every or done >= self.total):
            self._last = now
            self._stream.write(self._line(done, now - self._begun) + "\n")
            self._stream.flush()

    def _line(self, done: int, seconds: float) -> str:
        speed = (done - self._before) / seconds if seconds > 0 else 0.0
        if not speed:
            end = "starting"
        else:
            end = f"took {_clock(seconds)}" if done >= self.total else f"{_clock((self.total - done) / speed)} left"
        share = 100 * done // self.total if self.total else 100
        return f"{self.label}: {done}/{self.total} frames ({share}%), {speed:.1f}/s, {end}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
