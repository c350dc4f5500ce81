"""Workers that are SLURM jobs, submitted through submitit. No torch."""

import subprocess
import time
from pathlib import Path
from typing import Any

from lp_core import ConfigError

from lp_infer.clusters import Done, Task, need
from lp_infer.slurm_watch import Queue

POLL = 0.5  # seconds between two looks at the jobs


class Slurm:
    """SLURM jobs, each of which does one task; one that fails or runs out of time is submitted again by whoever asked.

    Videos, tables, `folder` and the Python environment must be at the same paths on all machines. Jobs leave their
    logs in `folder`.

    Args:
        folder: for the jobs' files.
        workers: jobs at once; 4 if None.
        cluster: of submitit: slurm; local, which needs no SLURM; None = slurm if it is there, else local.
        time: minutes that a job may take.
        gpus: of each job.
        cpus: cores of each job.
        more: further options of sbatch as submitit names them: partition, account, qos, constraint, mem, …

    Raises:
        ConfigError: submitit or SLURM is not installed, or there is no such option.
    """

    stays = False

    def __init__(
        self,
        folder: Path,
        workers: int | None = None,
        cluster: str | None = None,
        *,
        time: int = 240,
        gpus: int = 1,
        cpus: int = 4,
        **more: Any,
    ) -> None:
        need("submitit", "slurm")
        import submitit  # pyright: ignore[reportMissingImports]

        self._queue = Queue()
        self.workers, self.threads, self._gpus = workers or 4, cpus, gpus
        self._jobs: dict[int, Any] = {}
        specific = {f"slurm_{key}": value for key, value in more.items()}
        try:
            self._executor = submitit.AutoExecutor(folder=Path(folder) / "%j", cluster=cluster)
            self._executor.update_parameters(
                name="lpose", timeout_min=time, gpus_per_node=gpus, cpus_per_task=cpus, **specific
            )
        except (RuntimeError, ValueError, NameError) as e:
            raise ConfigError(f"cluster=slurm: {str(e).partition(' Valid arguments')[0]}") from e

    def submit(self, key: int, task: Task) -> None:
        """See `Cluster`.

        Raises:
            ConfigError: SLURM refuses the job.
        """
        try:
            job = self._executor.submit(task)
        except (subprocess.CalledProcessError, RuntimeError) as e:
            said = " ".join(str(getattr(e, "stderr", None) or e).split())
            raise ConfigError(
                f"cluster=slurm: the job was refused ({said}); check its options, gpus={self._gpus} and "
                f"cpus={self.threads} among them."
            ) from e
        job.watcher = self._queue  # local jobs of submitit ask none
        self._queue.register_job(job.job_id)
        self._jobs[key] = job

    def wait(self, seconds: float) -> list[Done]:
        """See `Cluster`."""
        until = time.monotonic() + seconds
        while self._jobs:
            done = [self._result(key, job) for key, job in list(self._jobs.items()) if job.done()]
            if done or time.monotonic() >= until:
                return done
            time.sleep(min(POLL, max(0.0, until - time.monotonic())))
        return []

    def close(self) -> None:
        """See `Cluster`."""
        for job in self._jobs.values():
            job.cancel(check=False)
        self._jobs.clear()

    def _result(self, key: int, job: Any) -> Done:
        del self._jobs[key]
        error = job.exception()  # tasks do not raise: the job ran out of time, was cancelled or killed
        if error is None:
            return Done(key, job.result())
        return Done(key, lost=f"SLURM job {job.job_id} ended as {job.state}, see {job.paths.stderr}")
