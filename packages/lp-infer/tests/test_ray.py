"""Many videos on a Ray cluster of this machine: the same tables, and a lost worker costs one record."""

import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from lp_core import DataError
from lp_infer.chunks import chunk_length
from lp_infer.clusters import open_cluster
from lp_infer.many import VideosFailed, predict_many
from lp_infer.work import Job

sys.path.insert(0, str(Path(__file__).parent))
import work_models
from work_models import LENGTHS, OPTIONS, same, tables

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'lp-infer[ray]'")
pytest_plugins = ["work_fixtures"]
pytestmark = pytest.mark.usefixtures("small_units", "cluster")
RECORD = chunk_length(8)


@pytest.fixture(scope="module")
def cluster():
    """Two workers' worth of Ray; processes of it find what lies beside the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


def test_workers_are_what_there_is():
    crew = open_cluster("ray", None, Path("unused"), "cpu")
    assert (crew.workers, crew.threads) == (1, 2)  # up to four cores each
    assert open_cluster("ray", 2, Path("unused")).threads == 1


@pytest.mark.parametrize("at", [60, 200])
def test_a_killed_worker_costs_one_record(at, videos, whole, tmp_path, notes, logs_kept):
    (notes / "kill").write_text(str(at))
    crew = open_cluster("ray", 2, tmp_path, "cpu")
    predict_many(Job(partial(work_models.extremes, str(notes)), OPTIONS), tables(videos, tmp_path), crew)
    assert (notes / "killed").exists() and same(videos, tmp_path, whole)
    calls = work_models.frames(notes)
    assert 0 < sum(count for _, count in calls) - sum(LENGTHS) <= 2 * RECORD
    assert len({pid for pid, _ in calls}) >= 2 and logs_kept(tmp_path) == sum(LENGTHS)
    assert ray.is_initialized()  # it was there before


def test_a_torch_network_writes_the_same_bytes_and_a_broken_video_is_named(videos, tmp_path):
    from lp_infer import predict_video

    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    predict_video(work_models.blobs(), videos[1], tmp_path / "whole" / "v1.csv", OPTIONS)
    with pytest.raises(VideosFailed, match=r"1 of 2 videos could not be predicted\. .*broken\.mp4"):
        predict_many(
            Job(work_models.blobs, OPTIONS),
            tables([videos[1], broken], tmp_path),
            open_cluster("ray", 2, tmp_path, "cpu"),
        )
    assert same(videos[1:2], tmp_path, tmp_path / "whole")


def test_more_workers_than_there_is_room_for_do_not_block(videos, whole, tmp_path):
    crew = open_cluster("ray,threads=1", 5, tmp_path, "cpu")
    predict_many(Job(work_models.extremes, OPTIONS), tables(videos, tmp_path), crew)
    assert same(videos, tmp_path, whole)


def test_ctrl_c_stops_the_workers_and_keeps_what_they_did(videos, whole, tmp_path, notes):
    job = Job(partial(work_models.extremes, str(notes), 0.002), OPTIONS)

    def interrupt() -> None:
        while len(work_models.frames(notes)) < 100:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        predict_many(job, tables(videos, tmp_path), open_cluster("ray", 2, tmp_path, "cpu"))
    time.sleep(0.5)
    before = len(work_models.frames(notes))
    time.sleep(1)
    assert len(work_models.frames(notes)) == before  # nobody works any more
    job = Job(work_models.extremes, OPTIONS)
    reports = predict_many(job, tables(videos, tmp_path), open_cluster("ray", 2, tmp_path, "cpu"))
    assert same(videos, tmp_path, whole) and sum(r.kept for r in reports.values()) >= RECORD


def test_no_cluster_at_that_address_is_one_sentence(monkeypatch):
    def absent(**options):
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", absent)
    with pytest.raises(
        DataError, match=r"no Ray cluster at auto \(Could not find any running Ray instance\.\); start one"
    ):
        open_cluster("ray,address=auto", 2, Path("unused"))


def test_nobody_at_a_port_is_said_at_once(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: pytest.fail("Ray would try for minutes"))
    with pytest.raises(DataError, match=rf"no Ray cluster at {address} \(.*refused.*\); start one"):
        open_cluster(f"ray,address={address}", 2, Path("unused"))
