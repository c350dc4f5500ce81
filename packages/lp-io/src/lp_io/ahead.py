"""Make items in another thread while this one uses those before. No torch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")
POLL = 0.1  # seconds after which a producer that waits for room looks whether it is still wanted


class _Done:
    """Ends the queue; carries the producer's error if it had one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def ahead(items: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """The same items in the same order, made in a thread that is at most `depth` of them ahead.

    At most `depth + 2` exist at a time: those waiting, the one being made and the one in use. An error of the producer
    is raised as itself where its item would have come. Leaving the block, by whatever error, ends the thread.
    """
    queue: Queue[Any] = Queue(maxsize=depth)
    unwanted = Event()
    thread = Thread(target=_produce, args=(items, queue, unwanted), name="lp-ahead", daemon=True)
    thread.start()
    try:
        yield _consume(queue)
    finally:
        unwanted.set()
        thread.join()


def _consume(queue: "Queue[Any]") -> Iterator[Any]:
    while not isinstance(item := queue.get(), _Done):
        yield item
        del item  # not kept alive while waiting for the next
    if item.error is not None:
        raise item.error


def _produce(items: Iterable[Any], queue: "Queue[Any]", unwanted: Event) -> None:
    end = _Done()
    try:
        for item in items:
            if not _put(queue, item, unwanted):
                break
            del item
    except BaseException as error:  # carried over to the thread that waits for the item
        end = _Done(error)
    _put(queue, end, unwanted)


def _put(queue: "Queue[Any]", item: Any, unwanted: Event) -> bool:
    while not unwanted.is_set():
        try:
            queue.put(item, timeout=POLL)
        except Full:
            continue
        return True
    return False
