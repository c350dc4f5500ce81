"""Which SLURM jobs are over, asked of the controller itself. No torch.

Submitit asks the accounting (`sacct`), which many a cluster does not have, and at intervals that grow to ten minutes: a
job that is killed would run for ever there, and here the work would wait.
"""

import os
import subprocess
import time

from lp_core import ConfigError

EVERY = 15.0  # seconds between two questions, at most
SOON = 2.0  # seconds, at least
OVER = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
GONE = "GONE"  # listed no more: over for some minutes
RUNNING = "RUNNING"  # or waiting, suspended, to be queued again: not over


class Queue:
    """What `squeue` says of this user's jobs. When the controller does not answer, nothing is concluded.

    Stands in for submitit's own `InfoWatcher` in a job.

    Raises:
        ConfigError: there is no `squeue`.
    """

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._asked, self._submitted = -EVERY, 0.0

    def register_job(self, job_id: str) -> None:
        """Watch a job from now on."""
        self._states[job_id] = RUNNING
        self._submitted = time.monotonic()

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Whether the job is over."""
        return self.get_state(job_id, mode) != RUNNING

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        """RUNNING, or what the job ended as; `mode` as in submitit."""
        now = time.monotonic()
        due = now - self._asked >= min(EVERY, max(SOON, (now - self._submitted) / 2))
        if mode == "force" or (mode == "standard" and due):
            self._asked = now
            self._ask()
        return self._states[job_id]

    def _ask(self) -> None:
        command = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%T"]
        try:
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        except FileNotFoundError as e:
            raise ConfigError(
                "cluster=slurm: there is no squeue here, which says what jobs are over; install it."
            ) from e
        if answer.returncode:
            return  # it has said why; the controller may be starting again
        listed = dict(line.strip().split("|") for line in answer.stdout.splitlines() if "|" in line)
        for job, state in self._states.items():
            if state == RUNNING:
                now = listed.get(job, GONE)
                self._states[job] = now if now in OVER or now == GONE else RUNNING
