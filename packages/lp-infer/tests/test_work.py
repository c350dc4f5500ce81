"""Many videos by several workers: the same tables, whoever is killed on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from lp_core import ConfigError, DataError
from lp_infer import PredictOptions, many, predict_video
from lp_infer.chunks import ChunkLog, chunk_length, missing
from lp_infer.clusters import open_cluster
from lp_infer.many import VideosFailed, predict_many
from lp_infer.processes import Processes, gpus
from lp_infer.work import Elsewhere, Job, Unit, attempt, left, predict_unit, runner_of, units

sys.path.insert(0, str(Path(__file__).parent))  # spawned workers have the path of this process
import work_models
from work_models import LENGTHS, OPTIONS, same, tables

pytest_plugins = ["work_fixtures"]
pytestmark = pytest.mark.usefixtures("small_units")
RECORD = chunk_length(8)


# what is to be done


def test_units_are_whole_records_and_together_what_is_missing(tmp_path):
    about = {"batch_size": 8, "frames": 10 * RECORD + 3}
    done = {0: RECORD, 5 * RECORD: RECORD}
    some = list(units(tmp_path / "v.csv", tmp_path / "v.mp4", about, done, 3))
    assert [(u.frames.start // RECORD, len(u.frames)) for u in some] == [
        (1, 3 * RECORD), (4, RECORD), (6, 3 * RECORD), (9, RECORD + 3),
    ]  # fmt: skip
    covered = [n for u in some for n in u.frames]
    assert covered == [n for span in missing(about["frames"], RECORD, done) for n in span]
    assert left(some[0], done | {2 * RECORD: RECORD}) == [range(RECORD, 2 * RECORD), range(3 * RECORD, 4 * RECORD)]
    assert left(some[3], done | {9 * RECORD: RECORD}) == [range(10 * RECORD, 10 * RECORD + 3)]


def test_a_unit_is_idempotent_and_another_video_is_refused(videos, tmp_path):
    job = Job(work_models.extremes, OPTIONS)
    runner = runner_of(job)
    assert runner_of(job) is runner and runner_of(Job(work_models.extremes, OPTIONS)) is not runner
    plan = many._opened(runner, videos[1], tmp_path / "v.csv")
    (unit,) = units(plan.log.out, videos[1], plan.about, {}, 100)
    assert predict_unit(job, unit).frames == 600
    assert predict_unit(job, unit).frames == 0
    with pytest.raises(DataError, match="not the same file on all machines"):
        predict_unit(job, Unit(videos[0], unit.out, unit.about, unit.frames))
    with pytest.raises(DataError, match="would compute it otherwise"):
        predict_unit(job, Unit(videos[1], unit.out, {**plan.about, "network": "x"}, unit.frames))


# the same tables


@pytest.mark.parametrize("load", [work_models.extremes, work_models.averager])
def test_two_processes_write_the_same_bytes(load, videos, tmp_path):
    options = PredictOptions(batch_size=8, device="cpu", threads=1)
    for video in videos:
        predict_video(load(), video, tmp_path / "whole" / f"{video.stem}.csv", options)
    seen = []
    (tmp_path / "many").mkdir()
    reports = predict_many(
        Job(load, options), tables(videos, tmp_path / "many"), Processes(2), lambda v, r: seen.append((v, r))
    )
    assert same(videos, tmp_path / "many", tmp_path / "whole") and dict(seen) == reports
    assert {v: r.frames for v, r in reports.items()} == dict(zip(videos, LENGTHS, strict=True))
    assert all(
        r.runtime == "torch" and r.device == "cpu" and r.batch_size == 8 and r.kept == 0 for r in reports.values()
    )
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == sorted(f"{v.stem}.csv" for v in videos)


def test_workers_end_by_themselves():
    """A killed one leaves what libraries took of the system, and a warning about it."""
    crew = Processes(1)
    crew.submit(1, partial(os.getpid))
    while not crew.wait(5):
        pass
    crew.submit(2, partial(time.sleep, 30))
    (process,) = [worker.process for worker in crew._crew]
    began = time.monotonic()
    crew.close()
    assert process.exitcode == 1 and time.monotonic() - began < 2


def test_what_the_system_refuses_is_a_sentence():
    def refused():
        raise PermissionError(13, "Permission denied", "some.csv")

    assert attempt(refused).error.startswith("some.csv: Permission denied; make sure")


def test_paths_are_of_the_folder_the_command_is_given_in(videos, tmp_path, monkeypatch):
    monkeypatch.chdir(videos[2].parent)
    crew = Processes(1)
    crew.submit(-1, partial(os.chdir, "/"))  # as workers of a cluster are
    while not crew.wait(5):
        pass
    out = Path(os.path.relpath(tmp_path / "v.csv"))
    (report,) = predict_many(Job(work_models.extremes, OPTIONS), {Path("v2.mp4"): out}, crew).values()
    assert report.out == out and out.exists()


def test_a_broken_video_does_not_stop_the_others(videos, whole, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(videos[0].read_bytes()[:1000])
    absent = tmp_path / "absent.mp4"
    with pytest.raises(VideosFailed, match=r"2 of 4 videos could not be predicted\. .*(broken|absent)\.mp4") as caught:
        predict_many(Job(work_models.extremes, OPTIONS), tables([broken, *videos[1:], absent], tmp_path), Processes(1))
    assert set(caught.value.failed) == {broken, absent} and set(caught.value.reports) == set(videos[1:])
    assert same(videos[1:], tmp_path, whole)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".csv", ".csv", ".mp4"]


# workers that die


@pytest.mark.parametrize("at", [1, 60, 250])
def test_a_killed_process_costs_one_record(at, videos, whole, tmp_path, notes, logs_kept):
    (notes / "kill").write_text(str(at))
    predict_many(Job(partial(work_models.extremes, str(notes)), OPTIONS), tables(videos, tmp_path), Processes(2))
    assert (notes / "killed").exists() and same(videos, tmp_path, whole)
    calls = work_models.frames(notes)
    again = sum(count for _, count in calls) - sum(LENGTHS)
    assert 0 < again <= 2 * RECORD  # the killed one had at most a record, and a call, in its hands
    assert logs_kept(tmp_path) == sum(LENGTHS)  # no record twice: what was lost had not been written


def test_frames_that_kill_every_worker_are_given_up_and_other_errors_say_where(videos, tmp_path, notes):
    (notes / "always").touch()
    began = time.monotonic()
    with pytest.raises(VideosFailed, match=r"3 workers in a row were lost at frames 0 to 255 \(signal 9\)"):
        predict_many(
            Job(partial(work_models.extremes, str(notes)), OPTIONS), tables(videos[2:], tmp_path), Processes(1)
        )
    assert time.monotonic() - began < 60
    with pytest.raises(ConfigError, match=r"absent\.pt"):
        options = PredictOptions(batch_size=8, device="cpu")
        predict_many(Job(tmp_path / "absent.pt", options), tables(videos[2:], tmp_path), Processes(1))


def test_a_driver_killed_half_way_goes_on_where_it_was(videos, whole, tmp_path, notes):
    for kind in (signal.SIGKILL, signal.SIGINT):
        driver = start(videos, tmp_path, notes)
        before = frames_noted(notes)
        while frames_noted(notes) < before + 700:
            assert driver.poll() is None, driver.communicate()[1]
            time.sleep(0.01)
        os.killpg(driver.pid, kind)
        began = time.monotonic()
        driver.wait(20)
        assert time.monotonic() - began < 10 and not alive(driver.pid)
    assert driver.communicate()[1].count("KeyboardInterrupt") == 1  # of the driver; the workers say nothing
    assert not (tmp_path / f"{videos[0].stem}.csv").exists()
    reports = predict_many(
        Job(partial(work_models.extremes, str(notes)), OPTIONS), tables(videos, tmp_path), Processes(2)
    )
    assert same(videos, tmp_path, whole) and sum(r.kept for r in reports.values()) > 2 * RECORD
    assert frames_noted(notes) - sum(LENGTHS) <= 2 * 2 * 2 * RECORD  # two kills of two workers, two records at most


def test_workers_do_not_outlive_who_started_them():
    code = (
        "import time; from functools import partial; from lp_infer.processes import Processes\n"
        "crew = Processes(2)\n"
        "[crew.submit(n, partial(time.sleep, t)) for n, t in enumerate((0, 60, 60))]\n"
        "print(len(crew.wait(30)), flush=True); crew.wait(60)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert driver.stdout and driver.stdout.readline() == "1\n"  # one has done a task, both have begun to sleep
    driver.kill()
    driver.wait()
    assert not alive(driver.pid)


def start(videos: list[Path], out: Path, notes: Path) -> subprocess.Popen:
    """A driver in a process group of its own, as a shell starts it."""
    code = (
        "import sys; from pathlib import Path; from functools import partial; import work_models\n"
        "from lp_infer import PredictOptions, many; from lp_infer.work import Job\n"
        "from lp_infer.processes import Processes\n"
        "*videos, out, notes = map(Path, sys.argv[1:])\n"
        "options = PredictOptions(batch_size=8, device='cpu', threads=1)\n"
        "job = Job(partial(work_models.extremes, str(notes), 0.002), options)\n"
        "many.predict_many(job, {v: out / f'{v.stem}.csv' for v in videos}, Processes(2))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, (*videos, out, notes))],
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def frames_noted(notes: Path) -> int:
    return sum(count for _, count in work_models.frames(notes)) if (notes / "frames").exists() else 0


def alive(group: int) -> bool:
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def test_a_folder_that_workers_do_not_share_is_named(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(many, "PATIENCE", 0.2)
    video = many._opened(runner_of(Job(work_models.extremes, OPTIONS)), videos[2], tmp_path / "v.csv")
    with pytest.raises(DataError, match=r"v\.csv\.parts lacks .* must be the same folder on all machines"):
        many._see(video, threading.Event())


def test_a_video_that_is_still_written_to_has_no_table_from_workers_either(videos, tmp_path, monkeypatch):
    growing, seen = tmp_path / "v.mp4", many._see
    growing.write_bytes(videos[2].read_bytes())
    monkeypatch.setattr(many, "_see", lambda *words: (seen(*words), growing.write_bytes(videos[1].read_bytes())))
    with pytest.raises(VideosFailed, match=r"v\.mp4 was written to while it was read"):
        predict_many(Job(work_models.extremes, OPTIONS), {growing: tmp_path / "v.csv"}, Processes(1))
    assert not (tmp_path / "v.csv").exists()


def test_progress_does_not_look_at_parts_that_a_table_is_made_of(videos, tmp_path, monkeypatch):
    """Another thread deletes them, perhaps while they are listed."""
    made = many.write_table

    def slowly(*words):
        broken = made(*words)
        time.sleep(0.3)
        return broken

    def listed(self, pattern, **options):
        if not self.exists():
            raise FileNotFoundError(self)
        return found(self, pattern, **options)

    found = Path.glob
    monkeypatch.setattr(many, "LOOK", 0.0)
    monkeypatch.setattr(many, "write_table", slowly)
    monkeypatch.setattr(Path, "glob", listed)
    reports = predict_many(Job(work_models.extremes, OPTIONS), tables(videos, tmp_path), Processes(1))
    assert {v: r.frames for v, r in reports.items()} == dict(zip(videos, LENGTHS, strict=True))


def test_the_wait_for_a_first_worker_and_progress_over_all_videos_are_told(
    videos, tmp_path, notes, capsys, monkeypatch
):
    monkeypatch.setattr(many, "QUIET", 0.0)
    monkeypatch.setattr(many, "Progress", partial(many.Progress, every=0.0))
    job = Job(partial(work_models.extremes, str(notes), 0.001), replace(OPTIONS, progress=True))
    predict_many(job, tables(videos, tmp_path), Processes(1))
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "predict 3 videos: waiting for the first worker"
    shares = [int(line.partition("/2300 frames")[0].rpartition(" ")[2]) for line in lines if "/2300 " in line]
    assert shares == sorted(shares) and len(shares) > 3 and shares[-1] == 2300
    assert "took" in lines[-1] and not any("took" in line for line in lines[:-1])


# what is asked for


def test_two_videos_with_one_table_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.mp4 and .*a\.avi would both be written"):
        predict_many(
            Job("x"), dict.fromkeys([tmp_path / "a.mp4", tmp_path / "a.avi"], tmp_path / "a.csv"), Processes(1)
        )


def test_a_table_that_exists_is_kept_if_asked(videos, tmp_path):
    out = tables(videos[1:], tmp_path)
    out[videos[1]].write_text("old")
    options = PredictOptions(batch_size=8, device="cpu", overwrite=False)
    with pytest.raises(VideosFailed, match=r"exists already; delete it or set overwrite=true"):
        predict_many(Job(work_models.extremes, options), out, Processes(1))
    assert out[videos[1]].read_text() == "old" and out[videos[2]].exists()


def test_auto_goes_on_with_the_runtime_that_tables_were_begun_with(tmp_path):
    out = {tmp_path / f"{n}.mp4": tmp_path / f"{n}.csv" for n in range(3)}
    for n, name in ((0, "torch"), (1, "gone")):
        ChunkLog(tmp_path / f"{n}.csv", {"runtime": name}, 2)
    auto = Job("x", PredictOptions(runtime="auto", runtime_options={"a": 1}))
    assert many._begun(auto, out).options.runtime == "torch"
    here = Elsewhere("torch", ("a",), "heatmap", (8, 8), 0, 16, "cpu", "float32", "f")
    fixed = many._same(auto.options, here)
    assert (fixed.runtime, fixed.batch_size, fixed.runtime_options) == ("torch", 16, {})


@pytest.mark.parametrize(("text", "said"), [
    ("rai", r"'rai' is not known; did you mean 'ray'\? Choose one of processes, ray, slurm"),
    ("processes,gpus", "'gpus' is not key=value|gpus is not key=value"),
    ("processes,cores=3", "cluster=processes: .*cores"),
])  # fmt: skip
def test_an_unknown_cluster_or_option_is_one_sentence(text, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        open_cluster(text, 2, tmp_path)


@pytest.mark.parametrize(("text", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_absent_library_is_one_sentence_with_the_command(text, module, tmp_path, monkeypatch):
    monkeypatch.setattr("lp_infer.clusters.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"cluster={text} is not installed; pip install 'lp-infer\[{text}\]'"):
        open_cluster(text, 2, tmp_path)


def test_cores_and_gpus_are_divided(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-5")
    monkeypatch.setattr("lp_infer.processes.cores", lambda: 7)
    assert gpus() == ["0", "GPU-5"]
    assert (Processes().workers, Processes(3).threads, Processes(9).threads, Processes(2, 5).threads) == (2, 2, 1, 5)
    crew = Processes(3)
    for key in range(3):
        crew.submit(key, partial(os.getenv, "CUDA_VISIBLE_DEVICES"))
    assert sorted(dict(collect(crew, 3)).values()) == ["0", "0", "GPU-5"]


def test_a_task_that_cannot_be_loaded_says_why():
    crew = Processes(1)
    crew.submit(7, Unloadable())
    ((key, lost),) = collect(crew, 1, "lost")
    assert key == 7 and lost == "ModuleNotFoundError: nowhere"


class Unloadable:
    def __call__(self) -> None: ...

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return exec, ("raise ModuleNotFoundError('nowhere')",)


def collect(crew: Processes, count: int, what: str = "value") -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    while len(found) < count:
        found += [(done.key, getattr(done, what)) for done in crew.wait(5)]
    crew.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("lp-many")]
    return found
