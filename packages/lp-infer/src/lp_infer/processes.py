"""Workers that are processes of this machine. No torch."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from threading import Thread
from typing import Any

from lp_infer.clusters import Done, Task

SPAWN = get_context("spawn")  # a fork of a process with threads, or with CUDA, does not live
GRACE = 2.0  # seconds that workers have to end by themselves


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Any  # our end of a pipe
    number: int
    key: int | None = None  # of its task


class Processes:
    """Spawned processes; one that dies is replaced. See `lp_infer.clusters.Cluster`.

    The cores are divided between them, and the GPUs dealt out in turn.

    Args:
        workers: how many; as many as there are GPUs if None, or one.
        threads: CPU threads of each.
    """

    stays = True

    def __init__(self, workers: int | None = None, threads: int | None = None) -> None:
        self._gpus = gpus()
        self.workers = workers or len(self._gpus) or 1
        self.threads = threads or max(1, cores() // self.workers)
        self._queue: deque[tuple[int, Task]] = deque()
        self._crew: list[_Worker] = []
        self._lost: list[Done] = []

    def submit(self, key: int, task: Task) -> None:
        """See `Cluster`."""
        self._queue.append((key, task))
        self._assign()

    def wait(self, seconds: float) -> list[Done]:
        """See `Cluster`."""
        self._assign()
        busy: dict[Any, _Worker] = {w.connection: w for w in self._crew if w.key is not None}
        ready = wait(list(busy), 0 if self._lost else seconds) if busy else []
        done = [self._receive(busy[c]) for c in ready] + self._lost
        self._lost = []
        return done

    def close(self) -> None:
        """See `Cluster`."""
        for worker in self._crew:
            worker.process.terminate()
        until = time.monotonic() + GRACE
        for worker in self._crew:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.connection.close()
        self._crew.clear()
        self._queue.clear()

    def _assign(self) -> None:
        while self._queue and (worker := self._free()):
            key, task = self._queue.popleft()
            worker.key = key
            try:
                worker.connection.send(task)
            except OSError:  # it died before it had anything to do, or at once
                self._lost.append(self._dismiss(worker))

    def _free(self) -> _Worker | None:
        for worker in [w for w in self._crew if w.key is None]:
            if worker.process.is_alive():
                return worker
            self._dismiss(worker)
        return self._hire() if len(self._crew) < self.workers else None

    def _hire(self) -> _Worker:
        number = next(n for n in range(self.workers) if n not in {w.number for w in self._crew})
        ours, theirs = SPAWN.Pipe()
        gpu = self._gpus[number % len(self._gpus)] if self._gpus else ""
        process = SPAWN.Process(target=_serve, args=(theirs, gpu), name=f"lp-worker-{number}", daemon=True)
        process.start()
        theirs.close()  # so that the death of the process is the end of the pipe
        self._crew.append(_Worker(process, ours, number))
        return self._crew[-1]

    def _receive(self, worker: _Worker) -> Done:
        try:
            value, lost = worker.connection.recv()
        except (EOFError, OSError):
            return self._dismiss(worker)
        done = Done(worker.key or 0, value, lost)
        worker.key = None
        return done

    def _dismiss(self, worker: _Worker) -> Done:
        self._crew.remove(worker)
        worker.connection.close()
        worker.process.kill()
        worker.process.join()
        code = worker.process.exitcode or 0
        return Done(worker.key or 0, lost=f"signal {-code}" if code < 0 else f"exit status {code}")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES can name on this machine."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in chosen.split(",") if name]
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()


def _serve(connection: Any, gpu: str) -> None:
    """Do tasks until the other end is closed. A task that cannot be loaded is answered by the reason."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # gives back what libraries took of the system
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    Thread(target=_follow, name="lp-follow", daemon=True).start()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    with suppress(EOFError, OSError):
        while True:
            data = connection.recv_bytes()
            try:
                task = ForkingPickler.loads(data)
            except Exception as e:
                connection.send((None, f"{type(e).__name__}: {e}"))
                continue
            connection.send((task(), ""))


def _follow() -> None:
    """End this process when the one that started it ends, whatever it is doing: the log stays sound."""
    if parent := parent_process():
        parent.join()
        os._exit(1)
