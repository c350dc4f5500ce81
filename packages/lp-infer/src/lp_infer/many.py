"""Many videos by many workers: hand the work out, write each table when its video is complete. No torch."""

import heapq
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from lp_core import ConfigError, DataError, runtimes
from lp_io import Progress, VideoReader
from lp_io.video_reader import undecodable

from lp_infer.chunks import HEAD, ChunkLog, about_parts, chunk_length, missing
from lp_infer.clusters import Cluster, Done
from lp_infer.options import PredictOptions, PredictReport
from lp_infer.runner import Runner
from lp_infer.video import about, check_unchanged, write_table
from lp_infer.work import Answer, Elsewhere, Job, Unit, attempt, describe, left, predict_units, units

CHUNKS = {True: 16, False: 256}  # records of a task, at most; many where it must be worth loading the network
QUIET = 20.0  # seconds without a worker after which it is said; SLURM can take hours
LOSSES = 3  # workers in a row that may be lost over the same frames
LOOK = 2.0  # seconds between two looks at how far the workers are
PATIENCE = 60.0  # seconds until what a worker wrote must be seen here; network file systems take their time
CHORES = 2  # videos opened, and tables written, at the same time

Finished = Callable[[Path, PredictReport], None]


class VideosFailed(DataError):
    """Some videos could not be predicted; all others are.

    Attributes:
        failed: why, one sentence per video.
        reports: of the others.
    """

    def __init__(self, failed: Mapping[Path, str], reports: Mapping[Path, PredictReport]) -> None:
        self.failed, self.reports = dict(failed), dict(reports)
        count = len(failed) + len(reports)
        super().__init__(f"{len(failed)} of {count} videos could not be predicted. {' '.join(failed.values())}")


def predict_many(
    job: Job, videos: Mapping[Path, Path], cluster: Cluster, finished: Finished | None = None
) -> dict[Path, PredictReport]:
    """`predict_video` for each of `videos` by the workers of `cluster`; the tables are the same to the byte.

    Longest videos first. A worker that is lost costs the record it was at. A video that fails does not stop the others.
    Whatever ends this function, what was predicted is kept, and the same call goes on. The cluster is closed.

    Args:
        job: what to predict with; `runtime=auto` is decided once, by the first worker.
        videos: the table to write of each video.
        cluster: who does it.
        finished: called here with each video and its report as soon as its table is there.

    Returns:
        The report of each video.

    Raises:
        VideosFailed: once all others are done.
        ConfigError: two videos with one table, or the network does not run.
    """
    model = job.model if callable(job.model) else Path(job.model).absolute()
    job = replace(job, model=model, options=replace(job.options, threads=job.options.threads or cluster.threads))
    run = _Run(_begun(job, videos), cluster, finished or (lambda video, report: None))
    try:
        _distinct(videos)
        if videos:
            run.all(videos)
    finally:
        cluster.close()
        run.close()
    if run.failed:
        error = VideosFailed(run.failed, run.reports)
        for trace in run.traces:
            error.add_note(trace)
        raise error
    return run.reports


@dataclass(slots=True)
class _Video:
    """A video under way."""

    video: Path
    log: ChunkLog
    about: Mapping[str, Any]
    problems: tuple[str, ...]
    kept: int  # frames
    began: float = 0.0  # when its first unit was handed out
    open: int = 0  # units that are not done
    waited: float = 0.0

    @property
    def wanted(self) -> int:
        """Frames to predict."""
        return self.about["frames"] - self.kept

    def written(self, keypoints: int) -> int:
        """Of `wanted`, frames that are in the logs, about: by their size. Once all are, another thread makes the table of them
        and deletes them, and they must not be looked at.
        """
        if not self.open:
            return self.wanted
        size = sum(path.stat().st_size for path in self.log.folder.glob("*.log"))
        length = chunk_length(self.about["batch_size"])
        frames = size * length // (HEAD.size + length * keypoints * 24)
        return max(0, min(frames - self.kept, self.wanted))


class _Run:
    """One call of `predict_many`."""

    def __init__(self, job: Job, cluster: Cluster, finished: Finished) -> None:
        self.failed: dict[Path, str] = {}
        self.traces: list[str] = []
        self.reports: dict[Path, PredictReport] = {}
        self._job, self._cluster, self._finished = job, cluster, finished
        self._chunks = CHUNKS[cluster.stays]
        self._videos: dict[Path, _Video] = {}
        self._todo: list[tuple[int, int, int, Unit]] = []  # a heap: long videos first, their beginning first
        self._running: dict[int, list[Unit]] = {}
        self._chores: dict[Future, tuple[Path, Callable[[Any], None]]] = {}
        self._pool, self._stop = ThreadPoolExecutor(CHORES, "lp-many"), Event()
        self._number = 0  # of tasks and units
        self._predicted = 0  # frames of the videos that are over
        self._lost = 0  # workers, before any of them was ready
        self._told = time.monotonic()
        self._shown = 0  # frames

    def all(self, videos: Mapping[Path, Path]) -> None:
        """Do it."""
        self._count, self._label = len(videos), f"predict {len(videos)} video{'s' * (len(videos) > 1)}"
        there = self._described()
        self._runner = Runner(there, self._job.options)
        self._job = replace(self._job, options=_same(self._job.options, there))
        self._progress = Progress(self._label, 0, self._job.options.progress)
        for video in sorted(videos, key=_size, reverse=True):
            self._chore(video, partial(_opened, self._runner, video, videos[video]), self._plan)
        while self._todo or any(self._running.values()) or self._chores:
            self._settle_chores()
            self._hand_out()
            for done in self._cluster.wait(LOOK if not self._chores else 0.05) if self._running else ():
                self._settle(done)
            if not self._running and self._chores:
                time.sleep(0.01)
            if time.monotonic() - self._told > LOOK:
                self._tell(under_way=True)
        self._tell(under_way=False)

    def close(self) -> None:
        """Leave nothing behind that is of no use."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for video in self._videos.values():
            if not any(video.log.folder.glob("*.log")):
                video.log.remove()

    def _described(self) -> Elsewhere:
        """What the workers predict with, as the first of them says."""
        together = self._cluster.stays and self._job.options.runtime != "auto"  # trials would disturb each other
        for _ in range(self._cluster.workers if together else 1):
            self._describe()
        answer: Answer | None = None
        while answer is None:
            for done in self._cluster.wait(LOOK):
                del self._running[done.key]
                answer = answer or self._answered(done)
            if time.monotonic() - self._told > QUIET:
                self._told = math.inf
                self._say(f"{self._label}: waiting for the first worker")
        self._told = time.monotonic()
        return _value(answer)

    def _say(self, line: str) -> None:
        show = self._job.options.progress
        if sys.stderr.isatty() if show is None else show:
            print(line, file=sys.stderr, flush=True)

    def _answered(self, done: Done) -> Answer | None:
        if not done.lost:
            return done.value[0]
        self._lost += 1
        if self._lost >= LOSSES:
            raise ConfigError(f"{self._lost} workers were lost while they made the network ready ({done.lost}).")
        self._describe()
        return None

    def _describe(self) -> None:
        self._running[key := self._next()] = []
        self._cluster.submit(key, partial(describe, self._job))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _chore(self, video: Path, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self._chores[self._pool.submit(attempt, work)] = video, then

    def _settle_chores(self) -> None:
        for future in [f for f in self._chores if f.done()]:
            video, then = self._chores.pop(future)
            answer = future.result()
            if answer.error:
                self._fail(video, answer)
            else:
                then(answer.value)

    def _plan(self, video: _Video) -> None:
        """Add a video that has been opened to what there is to do."""
        self._videos[video.video] = video
        records = -(-video.about["frames"] // chunk_length(video.about["batch_size"]))
        share = -(
            -records * self._count // (4 * self._cluster.workers)
        )  # few videos: units small enough for all workers
        chunks = max(1, min(self._chunks, share))
        self._add(video, list(units(video.log.out, video.video, video.about, video.log.done, chunks)))
        self._write_if_complete(video)

    def _add(self, video: _Video, todo: list[Unit]) -> None:
        video.open += len(todo)
        for unit in todo:
            heapq.heappush(self._todo, (-video.about["frames"], unit.frames.start, self._next(), unit))

    def _hand_out(self) -> None:
        while len(self._running) < self._cluster.workers and (some := self._take()):
            key = self._next()
            self._running[key] = some
            for video in {self._videos[unit.video].video for unit in some}:
                self._videos[video].began = self._videos[video].began or time.perf_counter()
            sent = [
                replace(u, video=u.video.absolute(), out=u.out.absolute()) for u in some
            ]  # workers may be elsewhere
            self._cluster.submit(key, partial(predict_units, self._job, sent))

    def _take(self) -> list[Unit]:
        """Units for one task: one, or as many small ones as are worth it while every worker still gets some."""
        most = max(1, len(self._todo) // (2 * self._cluster.workers))
        room = self._chunks * chunk_length(self._runner.batch_size)
        some: list[Unit] = []
        while self._todo and len(some) < most:
            unit = self._todo[0][-1]
            if some and (len(unit.frames) > room or unit.lost):
                break
            heapq.heappop(self._todo)
            if unit.video in self.failed:
                continue
            some.append(unit)
            room -= len(unit.frames)
            if unit.lost:  # alone: whatever kills workers shall not take others along
                break
        return some

    def _settle(self, done: Done) -> None:
        for n, unit in enumerate(self._running.pop(done.key)):
            video = self._videos.get(unit.video)
            if video is None:  # failed meanwhile
                continue
            if done.lost:
                self._again(video, unit, done.lost)
            elif done.value[n].error:
                self._fail(video.video, done.value[n])
            else:
                video.open -= 1
                video.waited += done.value[n].value.waited
            self._write_if_complete(video)

    def _again(self, video: _Video, unit: Unit, why: str) -> None:
        """A worker was lost over `unit`; what it had not finished is to be done anew."""
        video.open -= 1
        video.log.refresh()
        spans = left(unit, video.log.done)
        lost = unit.lost + 1 if sum(map(len, spans)) == len(unit.frames) else 1
        if lost >= LOSSES:
            frames = f"{unit.frames.start} to {unit.frames.stop - 1}"
            self._fail(video.video, Answer(error=f"{lost} workers in a row were lost at frames {frames} ({why})."))
            return
        self._add(video, [replace(unit, frames=span, lost=lost) for span in spans])

    def _fail(self, video: Path, why: Answer) -> None:
        self.failed.setdefault(video, why.error if str(video) in why.error else f"{video}: {why.error}")
        self.traces += [why.trace] if why.trace else []
        gone = self._videos.pop(video, None)
        if gone and not any(gone.log.folder.glob("*.log")):
            gone.log.remove()

    def _write_if_complete(self, video: _Video) -> None:
        if not video.open and video.video in self._videos:
            self._chore(video.video, partial(_written, video, self._runner, self._stop), partial(self._report, video))

    def _report(self, video: _Video, report: PredictReport) -> None:
        del self._videos[video.video]
        self._predicted += video.wanted
        answer = attempt(lambda: self._finished(video.video, report))
        if answer.error:
            self._fail(video.video, answer)
        else:
            self.reports[video.video] = report

    def _tell(self, under_way: bool) -> None:
        self._told = time.monotonic()
        keypoints = len(self._runner.keypoint_names)
        done = self._predicted + sum(v.written(keypoints) for v in self._videos.values() if v.began)
        self._progress.total = self._predicted + sum(v.wanted for v in self._videos.values())
        self._shown = max(self._shown, min(done, self._progress.total - under_way))  # sizes of logs only tell about
        if self._shown > 0:
            self._progress.update(self._shown)


def _opened(runner: Runner, video: Path, out: Path) -> _Video:
    """Look at a video, and at what there is of its table."""
    if out.exists() and not runner.options.overwrite:
        raise DataError(f"{out} exists already; delete it or set overwrite=true.")
    with VideoReader(video, runner.decode_size, threads=1) as reader:
        runner = runner.for_frames(reader.original_size)
        what = about(runner, reader)
        log = ChunkLog(out, what, len(runner.keypoint_names))
        anew = (f"{log.folder} was of another video, network or setting; began anew.",) if log.replaced else ()
        return _Video(video, log, what, anew + reader.problems, sum(log.done.values()))


def _written(video: _Video, runner: Runner, stop: Event) -> PredictReport:
    """Write the table of a video that is complete."""
    _see(video, stop)
    check_unchanged(video.video, video.about)
    broken = write_table(video.log, runner)
    return PredictReport(
        out=video.log.out,
        frames=video.about["frames"],
        seconds=time.perf_counter() - video.began if video.began else 0.0,
        kept=video.kept,
        broken=broken,
        problems=video.problems + undecodable(video.video, broken),
        runtime=runner.runtime.name,
        device=runner.runtime.device,
        precision=runner.runtime.precision,
        batch_size=video.about["batch_size"],
        waited=video.waited,
    )


def _see(video: _Video, stop: Event) -> None:
    """Wait until all that the workers say they have written is seen here."""
    until = time.monotonic() + PATIENCE
    video.log.refresh()
    while missing(video.about["frames"], chunk_length(video.about["batch_size"]), video.log.done):
        if time.monotonic() > until or stop.wait(0.5):
            raise DataError(
                f"{video.log.folder} lacks some of what workers wrote; it must be the same folder on all machines."
            )
        video.log.refresh()


def _begun(job: Job, videos: Mapping[Path, Path]) -> Job:
    """`job`, with the runtime that most tables were begun with, where the choice was left open."""
    if job.options.runtime != "auto":
        return job
    names = Counter(about_parts(out).get("runtime") for out in videos.values())
    best = [name for name, _ in names.most_common() if name in runtimes]
    return replace(job, options=replace(job.options, runtime=best[0])) if best else job


def _same(options: PredictOptions, runtime: Elsewhere) -> PredictOptions:
    """`options` that leave no worker a choice."""
    free = {"runtime_options": {}} if options.runtime == "auto" else {}
    return replace(options, runtime=runtime.name, batch_size=runtime.batch_size, **free)


def _distinct(videos: Mapping[Path, Path]) -> None:
    tables: dict[Path, Path] = {}
    for video, out in videos.items():
        if other := tables.get(out):
            raise ConfigError(f"{other} and {video} would both be written to {out}; rename one of them.")
        tables[out] = video


def _value(answer: Answer) -> Any:
    if answer.trace:
        raise RuntimeError(f"{answer.error}\n{answer.trace}")
    if answer.error:
        raise ConfigError(answer.error)
    return answer.value


def _size(video: Path) -> int:
    return video.stat().st_size if video.exists() else 0
