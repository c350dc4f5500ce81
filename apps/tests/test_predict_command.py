"""lpose predict: what lacks beside a table is made, one video that cannot be read does not stop the others."""

import os
from pathlib import Path

import numpy as np
import pytest
from lp_apps import predict
from lp_core import ConfigError, DataError
from lp_infer import VideosFailed
from lp_io import VideoWriter

FRAMES, SIZE = 6, (48, 64)


@pytest.fixture
def loaded(monkeypatch, tmp_path, brightness):
    """How often a network was loaded."""
    calls = []
    monkeypatch.setattr(predict, "model_of", lambda *words: calls.append(words) or brightness)
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "v.mp4"
    with VideoWriter(path, 20.0, SIZE) as writer:
        for number in range(FRAMES):
            writer.write(np.full((*SIZE, 3), 30 + number, np.uint8))
    return path


def lpose(*words):
    predict.run(["run=R", "out=o", *words])


def older(path, than):
    """Make `path` the older one, as if the other had been written after it."""
    before = than.stat().st_mtime_ns - 1_000_000_000
    os.utime(path, ns=(before, before))


def test_what_lacks_beside_a_table_is_made_without_the_network(video, loaded, capsys):
    lpose(f"source={video}", "format=coco")
    table, coco, h5 = (Path("o") / f"v{suffix}" for suffix in (".csv", ".json", ".h5"))
    assert loaded and coco.exists() and not h5.exists()
    before, content = coco.stat().st_mtime_ns, table.read_bytes()
    loaded.clear()
    lpose(f"source={video}", "format=coco,h5")
    said = capsys.readouterr().out
    assert not loaded and h5.exists() and "o/v.csv exists; overwrite=true" in said and "and o/v.h5" in said
    assert coco.stat().st_mtime_ns == before and table.read_bytes() == content and "older" not in said
    older(h5, than=table)  # of the predictions before these
    lpose(f"source={video}", "format=coco,h5")
    assert h5.stat().st_mtime_ns > table.stat().st_mtime_ns and not loaded
    older(table, than=video)  # recorded further, or another one under its name
    lpose(f"source={video}")
    assert f"o/v.csv exists and is older than {video}; overwrite=true" in capsys.readouterr().out and not loaded


def test_one_that_cannot_be_read_does_not_stop_the_others(video, loaded, capsys):
    Path("a.mp4").write_bytes(b"no video")
    lpose(f"source={video}")
    with pytest.raises(DataError, match=r"1 of 2 videos could not be predicted, for the reasons above"):
        lpose("source=*.mp4", "overwrite=true")
    said = capsys.readouterr().out
    assert "not predicted: a.mp4 cannot be read as a video" in said and said.count("6 frames at") == 2
    with pytest.raises(DataError, match=r"^a\.mp4 cannot be read as a video"):
        lpose("source=a.mp4")


@pytest.mark.parametrize("count", [1, 2])
def test_workers_say_which_video_and_why(count, video, loaded, capsys, monkeypatch):
    videos = [Path(f"{n}.mp4") for n in range(count)]
    for path in videos:
        path.write_bytes(video.read_bytes())

    def failing(*_):
        raise VideosFailed({path: f"{path} is damaged; copy it again." for path in videos}, {})

    monkeypatch.setattr("lp_infer.predict_many", failing)
    sentence = (
        "0.mp4 is damaged; copy it again." if count == 1 else "2 of 2 videos could not be predicted, for the reasons"
    )
    with pytest.raises(DataError, match=sentence):
        lpose("source=[0.mp4,1.mp4]" if count == 2 else "source=0.mp4", "workers=2", "runtime=torch")
    assert ("not predicted: 1.mp4 is damaged" in capsys.readouterr().out) == (count == 2)


def test_no_worker_is_a_mistake(loaded):
    with pytest.raises(ConfigError, match="workers=0 must be at least 1"):
        lpose("source=v.mp4", "workers=0")
