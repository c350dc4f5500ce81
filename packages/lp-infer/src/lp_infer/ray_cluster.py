"""Workers on a Ray cluster. No torch."""

import os
import socket
from collections import deque
from typing import Any

from lp_core import DataError

from lp_infer.clusters import Done, Task, need

THREADS = 4  # CPU threads of a worker, at most, if not said
KNOCK = 10.0  # seconds for a machine to answer at all
DEATHS = 3  # workers in a row that die before they have done anything


class _Hand:
    """Lives in a process of the cluster."""

    def ready(self) -> None:
        """Answers when the process is there."""

    def do(self, task: Task) -> Any:
        """The value of the task."""
        return task()


class Ray:
    """Ray actors; one that dies, or whose machine does, is replaced. See `lp_infer.clusters.Cluster`.

    Videos and tables must be at the same paths on all machines, and these packages installed there.

    Args:
        workers: how many; if None, one per GPU, or one per four cores.
        address: of the cluster, `auto` for the one this machine is part of; if None, RAY_ADDRESS or else this machine.
        gpus: of each worker; if None, 1 if there are any.
        threads: cores of each worker.

    Raises:
        ConfigError: ray is not installed.
        DataError: no cluster at that address.
    """

    stays = True

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        gpus: float | None = None,
        threads: int | None = None,
    ) -> None:
        need("ray", "ray")
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # under `uv run`: workers share this environment
        import ray  # pyright: ignore[reportMissingImports]

        self._ray, self._ours = ray, not ray.is_initialized()
        if self._ours:
            _join(ray, address)
        there = ray.cluster_resources()
        cpus, cards = int(there.get("CPU", 1)), there.get("GPU", 0.0)
        self._gpus = min(1.0, cards) if gpus is None else gpus
        self.threads = threads or max(1, min(THREADS, cpus // (workers or 1)))
        self.workers = workers or max(1, int(cards / self._gpus if self._gpus else cpus / self.threads))
        self._queue: deque[tuple[int, Task]] = deque()
        self._free: list[Any] = []
        self._pending: dict[
            Any, tuple[Any, int | None]
        ] = {}  # answer awaited: actor, and key of its task if it has one
        self._deaths = 0

    def submit(self, key: int, task: Task) -> None:
        """See `Cluster`."""
        self._queue.append((key, task))
        wanted = min(self.workers, len(self._queue) + sum(key is not None for _, key in self._pending.values()))
        while len(self._free) + len(self._pending) < wanted:
            self._hire()
        self._assign()

    def wait(self, seconds: float) -> list[Done]:
        """See `Cluster`.

        Raises:
            DataError: workers die as soon as they are started.
        """
        if not self._pending:
            return []
        answers, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        done = [one for answer in answers if (one := self._receive(answer))]
        self._assign()
        return done

    def close(self) -> None:
        """See `Cluster`."""
        for actor in [*self._free, *(actor for actor, _ in self._pending.values())]:
            self._ray.kill(actor)
        self._queue.clear()
        self._free.clear()
        self._pending.clear()
        if self._ours:
            self._ray.shutdown()

    def _hire(self) -> None:
        options = {"num_cpus": self.threads, "num_gpus": self._gpus, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        actor = self._ray.remote(_Hand).options(**options).remote()
        self._pending[actor.ready.remote()] = actor, None

    def _assign(self) -> None:
        while self._queue and self._free:  # only to actors that are there: others may wait for resources for ever
            (key, task), actor = self._queue.popleft(), self._free.pop()
            self._pending[actor.do.remote(task)] = actor, key

    def _receive(self, answer: Any) -> Done | None:
        actor, key = self._pending.pop(answer)
        try:
            value = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as e:  # the task could not be loaded
            self._free.append(actor)
            return None if key is None else Done(key, lost=f"{type(e.cause).__name__}: {e.cause}")
        except self._ray.exceptions.RayError as e:
            return self._bury(key, e)
        self._free.append(actor)
        self._deaths = 0 if key is not None else self._deaths
        return None if key is None else Done(key, value)

    def _bury(self, key: int | None, error: Exception) -> Done | None:
        self._deaths += key is None
        if self._deaths > DEATHS:
            raise DataError(
                f"Ray's workers die as soon as they are started ({_first(error)}); see Ray's logs."
            ) from error
        self._hire()
        return None if key is None else Done(key, lost=f"{type(error).__name__}: {_first(error)}")


def _join(ray: Any, address: str | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    dashboard = {"include_dashboard": False} if address == "local" else {}
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **dashboard)
    except (OSError, ValueError, RuntimeError) as e:
        raise DataError(f"There is no Ray cluster at {address} ({_first(e)}); start one: ray start --head") from e


def _knock(address: str) -> None:
    """Raise `OSError` where nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
