"""Many videos as jobs of submitit, by its local executor: no SLURM is needed, and none is tested."""

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from lp_core import ConfigError
from lp_infer import slurm_watch
from lp_infer.chunks import chunk_length
from lp_infer.clusters import open_cluster
from lp_infer.many import predict_many
from lp_infer.work import Job

sys.path.insert(0, str(Path(__file__).parent))
import work_models
from work_models import LENGTHS, OPTIONS, same, tables

submitit = pytest.importorskip("submitit", reason="submitit is not installed: pip install 'lp-infer[slurm]'")
pytest_plugins = ["work_fixtures"]
pytestmark = pytest.mark.usefixtures("small_units")
RECORD = chunk_length(8)
LOCAL = "slurm,cluster=local,time=5,gpus=0,cpus=1"


def test_a_killed_job_costs_one_record(videos, whole, tmp_path, notes, monkeypatch, logs_kept):
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 0)  # a network file system may be late; here there is none
    (notes / "kill").write_text("150")
    crew = open_cluster(LOCAL, 2, tmp_path / "jobs")
    reports = predict_many(Job(partial(work_models.extremes, str(notes)), OPTIONS), tables(videos, tmp_path), crew)
    assert (notes / "killed").exists() and same(videos, tmp_path, whole) and len(reports) == 3
    calls = work_models.frames(notes)
    assert 0 < sum(count for _, count in calls) - sum(LENGTHS) <= 2 * RECORD and logs_kept(tmp_path) == sum(LENGTHS)
    assert list((tmp_path / "jobs").glob("*/*_log.err"))


def test_ctrl_c_cancels_the_jobs(videos, tmp_path, notes):
    def interrupt() -> None:
        while len(work_models.frames(notes)) < 40:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    job = Job(partial(work_models.extremes, str(notes), 0.01), OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        predict_many(job, tables(videos, tmp_path), open_cluster(LOCAL, 2, tmp_path / "jobs"))
    time.sleep(3)
    before = len(work_models.frames(notes))
    time.sleep(1)
    assert len(work_models.frames(notes)) == before


def test_what_slurm_is_asked_for(tmp_path, monkeypatch):
    """The batch file, with an sbatch that only takes it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in {"srun": "", "sbatch": f"cp $1 {tmp_path}/batch; echo Submitted batch job 12"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    crew = open_cluster("slurm,partition=gpu,time=90,gpus=2,cpus=6,account=lab", 3, tmp_path / "jobs")
    assert (crew.workers, crew.threads, crew.stays) == (3, 6, False)
    crew.submit(1, partial(print, "x"))
    batch = (tmp_path / "batch").read_text()
    for line in ("partition=gpu", "time=90", "gpus-per-node=2", "cpus-per-task=6", "account=lab", "job-name=lpose"):
        assert f"#SBATCH --{line}\n" in batch
    (tools / "sbatch").write_text("#!/bin/sh\necho sbatch: error: invalid partition >&2\nexit 1\n")
    with pytest.raises(
        ConfigError, match=r"the job was refused \(.*invalid partition.*\); check its options, gpus=2 and cpus=6"
    ):
        crew.submit(2, partial(print, "x"))


def test_a_job_that_slurm_no_longer_runs_is_lost_without_accounting(tmp_path, monkeypatch):
    """An sbatch, a squeue and a sacct that only say something; seen as here on SLURM 22.05 without accounting."""
    tools, said = tmp_path / "bin", tmp_path / "said"
    tools.mkdir()
    scripts = {"srun": "", "sbatch": "echo Submitted batch job 12", "sacct": "exit 1", "squeue": f". {said}"}
    for name, text in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 0)
    monkeypatch.setattr(slurm_watch, "SOON", 0.0)
    for end, name in {"echo '12|CANCELLED'": "CANCELLED", "echo '11|RUNNING'": "GONE", "true": "GONE"}.items():
        crew = open_cluster("slurm,gpus=0", 1, tmp_path / "jobs")
        crew.submit(1, partial(print, "x"))
        for still in ("echo '12|PENDING'", "echo '12|SUSPENDED'", "exit 1"):
            said.write_text(still)
            assert crew.wait(0.01) == []
        said.write_text(end)
        (done,) = crew.wait(5)
        assert done.lost.startswith(f"SLURM job 12 ended as {name}, see {tmp_path}/jobs/12/")
    monkeypatch.setattr(slurm_watch.subprocess, "run", absent_program)
    with pytest.raises(ConfigError, match="no squeue here"):
        slurm_watch.Queue().get_state("12", "force")


def absent_program(*_, **__):
    raise FileNotFoundError("squeue")


def test_unknown_options_and_an_absent_slurm_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"cluster=slurm: .*'slurm_partitoin'"):
        open_cluster(f"{LOCAL},partitoin=gpu", 2, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"cluster=slurm: .*srun"):
        open_cluster("slurm,cluster=slurm", 2, tmp_path)
