"""Only the newest of what comes, for a consumer that may be too slow for all of it. No torch."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any

LOOK = 0.1  # seconds after which one who waits looks at the clock
PATIENCE = 2.0  # seconds for the thread to end; a source that hangs is left to itself


@dataclass(frozen=True, slots=True)
class Arrival:
    """An item of a source.

    Attributes:
        number: of the item, those included that the source dropped and counts in its attribute `dropped`.
        arrived: when it came, in seconds of `time.perf_counter`.
    """

    number: int
    arrived: float
    item: Any


class Newest:
    """Iterates over the newest items of a source that a thread reads as they come; those overtaken are counted."""

    def __init__(self, items: Iterable[Any], until: float) -> None:
        self._items, self._until = items, until
        self._before, self._overtaken = _dropped(items), 0
        self._changed = Condition()
        self._waiting: Arrival | None = None
        self._ended = self._unwanted = False
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[Arrival]:
        while (arrival := self._take()) is not None:
            yield arrival
        if self._error is not None:
            raise self._error

    @property
    def dropped(self) -> int:
        """Items so far that a newer one replaced before anybody wanted them, here or in the source."""
        return self._overtaken + _dropped(self._items) - self._before

    def read(self) -> None:
        """In the thread: put each item in the place of the one before."""
        try:
            for number, item in enumerate(self._items):
                if not self._put(Arrival(number + _dropped(self._items) - self._before, time.perf_counter(), item)):
                    break
        except BaseException as error:  # carried over to the thread that waits for items
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def stop(self) -> None:
        """Nothing more is wanted."""
        with self._changed:
            self._unwanted = True

    def _put(self, arrival: Arrival) -> bool:
        with self._changed:
            self._overtaken += self._waiting is not None
            self._waiting = arrival
            self._changed.notify()
            return not self._unwanted

    def _take(self) -> Arrival | None:
        with self._changed:
            while self._waiting is None and not self._ended and time.perf_counter() < self._until:
                self._changed.wait(LOOK)
            arrival, self._waiting = self._waiting, None
            return arrival if time.perf_counter() < self._until else None


class All:
    """Iterates over all items, each when it is wanted."""

    def __init__(self, items: Iterable[Any], until: float) -> None:
        self._items, self._until = items, until
        self._before = _dropped(items)

    def __iter__(self) -> Iterator[Arrival]:
        for number, item in enumerate(self._items):
            if time.perf_counter() >= self._until:
                return
            yield Arrival(number + self.dropped, time.perf_counter(), item)

    @property
    def dropped(self) -> int:
        """Items that the source dropped."""
        return _dropped(self._items) - self._before


@contextmanager
def arrivals(items: Iterable[Any], until: float, every: bool = False) -> Iterator[Newest | All]:
    """The newest items, or every one, until `time.perf_counter` says `until`. An error of the source is raised as itself."""
    if every:
        yield All(items, until)
        return
    newest = Newest(items, until)
    thread = Thread(target=newest.read, name="lp-newest", daemon=True)
    thread.start()
    try:
        yield newest
    finally:
        newest.stop()
        thread.join(PATIENCE)


def _dropped(items: Any) -> int:
    return getattr(items, "dropped", 0)
