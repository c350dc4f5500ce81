"""SLEAP files, made and read with sleap-io itself: images inside, image files, videos."""

import h5py
import numpy as np
import pytest
from lp_core import DataError, LabelSet, label_formats
from lp_core.testing.label_format import LabelFormatContract
from lp_io import VideoReader, VideoWriter, read_image, read_labels
from lp_io.convert import convert
from lp_io.convert_source import open_source
from lp_io.formats.sleap import SleapConfig, read_sleap
from lp_io.label_writers.lightning_pose import LightningPoseWriter
from PIL import Image

sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed")
SKELETON = sio.Skeleton(nodes=["z", "a", "m"], edges=[("a", "z"), ("m", "a")], name="mouse")
POINTS = np.array([[[5, 6], [np.nan, np.nan], [7.25, 8]], [[1, 2], [3, 4], [9, 1.5]]])


@pytest.fixture(autouse=True)
def _sleap_is_a_layout():
    if "sleap" not in label_formats:
        label_formats.register("sleap")(SleapConfig)


def instance(points, kind=sio.Instance, skeleton=SKELETON):
    made = kind.empty(skeleton=skeleton)
    made.points["xy"] = points
    made.points["visible"] = np.isfinite(points).all(-1)
    return made


def frame(video, number, *instances):
    return sio.LabeledFrame(video=video, frame_idx=number, instances=list(instances))


def noise(path, seed, size=(16, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)


def clip(path, frames=8, size=(32, 48)):
    """A video whose frame n is of brightness 20 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 25, size, threads=1) as writer:
        for number in range(frames):
            writer.write(np.full((*size, 3), 20 * number, np.uint8))
    return path


def save(labels, path, **options):
    sio.save_slp(labels, str(path), verbose=False, **options)
    return path


@pytest.fixture
def media(tmp_path):
    """Two videos of one name; frames out of order; an occluded point; predictions."""
    a, b = (sio.Video.from_filename(str(clip(tmp_path / d / "cam.mp4", n))) for d, n in (("one", 8), ("two", 5)))
    hidden = instance(POINTS[1])
    hidden.points["visible"][1] = False
    predicted = instance(POINTS[0] + 1, sio.PredictedInstance)
    return sio.Labels(
        [
            frame(b, 3, instance(POINTS[0]), predicted),
            frame(a, 6, hidden),
            frame(a, 2, predicted),
            frame(b, 1, instance(POINTS[0] * 2)),
        ]
    )


class TestSleap(LabelFormatContract):
    """Image files named relative to the `.slp`, which is how a project that was moved is found."""

    name = "sleap"

    def project(self, root):
        for i in (0, 1):
            noise(root / f"images/v/img{i}.png", i)
        skeleton = sio.Skeleton(nodes=["a", "b"])
        video = sio.Video.from_filename([f"images/v/img{i}.png" for i in (0, 1)])
        points = np.array([[[1, 2], [3, 4]], [[5, 6], [np.nan, np.nan]]])
        frames = [frame(video, i, instance(points[i], skeleton=skeleton)) for i in (0, 1)]
        save(sio.Labels(frames), root / "labels.slp")

    def test_a_missing_file_is_one_sentence(self, root):
        with pytest.raises(DataError, match="not_there"):
            self.build().read(root, "not_there.slp")


def test_a_project_of_image_files_can_be_moved(tmp_path):
    old = tmp_path / "old"
    files = [old / "frames" / folder / "img.png" for folder in "ab"]
    for seed, file in enumerate(files):
        noise(file, seed)
    videos = [sio.Video.from_filename([str(file)]) for file in files]
    save(sio.Labels([frame(v, 0, instance(POINTS[i])) for i, v in enumerate(videos)]), old / "labels.slp")
    old.rename(tmp_path / "new")
    labels = read_labels(tmp_path / "new", "sleap")
    assert labels.images == ("frames/a/img.png", "frames/b/img.png")
    done = convert(tmp_path / "new", "coco", tmp_path / "coco")
    assert done.labels.images == ("images/frames/a/img.png", "images/frames/b/img.png")
    assert (done.out / done.labels.images[1]).read_bytes() == (tmp_path / "new/frames/b/img.png").read_bytes()


def test_frames_of_videos_become_images(media, tmp_path):
    path = save(media, tmp_path / "labels.slp")
    done = convert(path, "lightning_pose", tmp_path / "lp")
    labels = read_labels(tmp_path / "lp")
    assert labels.images == tuple(f"labeled-data/{f}/img{n:08d}.png" for f, n in (("cam", 3), ("cam_2", 6), ("cam", 1)))
    assert labels.keypoint_names == ("z", "a", "m")
    np.testing.assert_array_equal(labels.keypoints, [POINTS[0], POINTS[1], POINTS[0] * 2])
    np.testing.assert_array_equal(labels.visibility, [[2, 0, 2], [2, 1, 2], [2, 0, 2]])
    for image, folder, number in zip(labels.images, ("two", "one", "two"), (3, 6, 1), strict=True):
        with VideoReader(tmp_path / folder / "cam.mp4") as reader:
            np.testing.assert_array_equal(read_image(labels.root / image), reader.clip(number, 1)[0])
        assert abs(read_image(labels.root / image).mean() - 20 * number) < 4
    assert any("1 frames of" in note and "predictions only" in note for note in done.notes)
    assert done.videos == "2 hard-linked"
    assert sorted(p.name for p in (tmp_path / "lp/videos").iterdir()) == ["cam.mp4", "cam_2.mp4"]
    assert open_source(tmp_path / "lp").labels.skeleton == ((1, 0), (2, 1))


def test_training_on_a_slp_with_videos_says_what_to_do(media, tmp_path):
    save(media, tmp_path / "labels.slp")
    with pytest.raises(DataError, match=r"lpose convert source=.*labels\.slp to=lightning_pose out=DIR"):
        read_labels(tmp_path, "sleap")


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_embedded_frames_of_a_video(tmp_path, order):
    """SLEAP wrote colours the other way round before its format 1.4; both come out right."""
    video = sio.Video.from_filename(str(clip(tmp_path / "v.mp4")))
    rows = [frame(video, n, instance(POINTS[i])) for i, n in enumerate((5, 2))]
    path = save(sio.Labels(rows), tmp_path / "labels.pkg.slp", embed=True)
    (tmp_path / "v.mp4").rename(tmp_path / "elsewhere.mp4")
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[..., 0] = 250  # red
    Image.fromarray(picture[..., ::-1] if order == "BGR" else picture).save(tmp_path / "red.png")
    data = np.frombuffer((tmp_path / "red.png").read_bytes(), np.int8)
    with h5py.File(path, "a") as file:
        attributes = {**file["video0/video"].attrs, "channel_order": order}
        del file["video0/video"]
        file.create_dataset("video0/video", data=np.stack([data, data])).attrs.update(attributes)
    convert(path, "lightning_pose", tmp_path / "lp")
    labels = read_labels(tmp_path / "lp")
    assert labels.images == ("labeled-data/v/img00000005.png", "labeled-data/v/img00000002.png")
    for image in labels.images:
        np.testing.assert_array_equal(read_image(labels.root / image), picture)


def test_what_is_written_is_what_sleap_io_reads(tmp_path):
    root = tmp_path / "p"
    images = ("v/img2.png", "w/img1.png", "v/img1.jpg", "v/big.png")
    for seed, name in enumerate(images):
        noise(root / "labeled-data" / name, seed, (20, 30) if "big" in name else (16, 24))
    keypoints = np.random.default_rng(0).uniform(0, 15, (4, 3, 2))
    keypoints[2] = np.nan
    visibility = np.where(np.isfinite(keypoints[..., 0]), 2, 0)
    visibility[1, 1] = 1
    labels = LabelSet(
        root=root, source=root / "CollectedData.csv", images=tuple(f"labeled-data/{i}" for i in images), scorer="me",
        keypoint_names=("z", "a", "m"), keypoints=keypoints, visibility=visibility, skeleton=((1, 0), (2, 1)),
    )  # fmt: skip
    LightningPoseWriter().write(labels, root, [])
    convert(root, "sleap", tmp_path / "s")
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["labels.pkg.slp"]
    (tmp_path / "s").rename(tmp_path / "moved")
    originals = root.rename(tmp_path / "hidden")
    read = sio.load_slp(str(tmp_path / "moved/labels.pkg.slp"))
    assert read.skeleton.node_names == ["z", "a", "m"] and read.skeleton.edge_inds == [(1, 0), (2, 1)]
    assert len(read) == 4
    for row, found in enumerate(read):
        points = found.instances[0].points
        np.testing.assert_array_equal(points["xy"], keypoints[row])
        np.testing.assert_array_equal(points["visible"], visibility[row] == 2)
        np.testing.assert_array_equal(found.image, read_image(originals / "labeled-data" / images[row]))
    text = (tmp_path / "moved/labels.pkg.slp").read_bytes()
    assert str(tmp_path / "p").encode() not in text and b"labeled-data/v/img2.png" in text
    back = convert(tmp_path / "moved", "lightning_pose", tmp_path / "lp").labels
    assert back.images == labels.images and back.scorer == "me"
    np.testing.assert_array_equal(back.visibility, visibility)
    for name in back.images:
        assert (tmp_path / "lp" / name).read_bytes() == (originals / name).read_bytes()


def test_many_long_names_stay_readable(tmp_path):
    root, count = tmp_path / "p", 700
    folder = "v" * 60
    noise(root / "one.png", 0, (4, 4))
    (root / "labeled-data" / folder).mkdir(parents=True)
    for i in range(count):
        (root / "labeled-data" / folder / f"img{i:08d}.png").hardlink_to(root / "one.png")
    keypoints = np.random.default_rng(0).uniform(0, 3, (count, 1, 2))
    labels = LabelSet(
        root=root, source=root / "x", images=tuple(f"labeled-data/{folder}/img{i:08d}.png" for i in range(count)),
        keypoint_names=("a",), keypoints=keypoints, visibility=np.full((count, 1), 2),
    )  # fmt: skip
    LightningPoseWriter().write(labels, root, [])
    convert(root, "sleap", tmp_path / "s")
    with h5py.File(tmp_path / "s/labels.pkg.slp") as file:
        assert "json" in file["video0/source_video"]  # a data set: too long for an attribute
    assert read_sleap(tmp_path / "s/labels.pkg.slp").labels.images == labels.images


def test_the_pixel_frame_of_old_files(tmp_path):
    """Before format 1.1 the centre of the top-left pixel was at (0.5, 0.5); it is at (0, 0) here and in SLEAP since."""
    noise(tmp_path / "v/img0.png", 0)
    video = sio.Video.from_filename([str(tmp_path / "v/img0.png")])
    path = save(sio.Labels([frame(video, 0, instance(POINTS[1]))]), tmp_path / "labels.slp")
    np.testing.assert_array_equal(read_sleap(path).labels.keypoints, POINTS[1:])
    with h5py.File(path, "a") as file:
        file["metadata"].attrs["format_id"] = 1.0
        rows = file["instances"][:]
        del file["instances"]
        file["instances"] = rows[[name for name in rows.dtype.names if name != "tracking_score"]]  # came with 1.2
    np.testing.assert_array_equal(read_sleap(path).labels.keypoints, POINTS[1:] - 0.5)


@pytest.fixture
def one(tmp_path):
    return sio.Video.from_filename(str(clip(tmp_path / "v.mp4")))


def test_bad_files_are_one_sentence(one, tmp_path):
    other = sio.Skeleton(nodes=["z"])
    predicted = instance(POINTS[0], sio.PredictedInstance)
    cases = {
        "has several animals, which lightning_pose does not hold; choose to=deeplabcut or": [
            frame(one, 2, instance(POINTS[0]), instance(POINTS[1])),
        ],
        "no frame labeled by a person \\(1 with predictions only\\)": [frame(one, 0, predicted)],
        "labels of 2 skeletons": [
            frame(one, 0, instance(POINTS[0])), frame(one, 1, instance(np.ones((1, 2)), skeleton=other)),
        ],
        "no labeled keypoint": [frame(one, 0, instance(np.full((3, 2), np.nan)))],
        "outside the image of 48×32": [frame(one, 0, instance(POINTS[0] + 100))],
        "frames 0 to 7, not 70": [frame(one, 70, instance(POINTS[0]))],
    }  # fmt: skip
    for sentence, frames in cases.items():
        path = save(sio.Labels(frames), tmp_path / "labels.slp")
        with pytest.raises(DataError, match=sentence) as error:
            convert(path, "lightning_pose", tmp_path / "out")
        assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    (tmp_path / "v.mp4").unlink()
    with pytest.raises(DataError, match=r"v\.mp4 cannot be read; put the video beside the \.slp file"):
        convert(save(sio.Labels([frame(one, 0, instance(POINTS[0]))]), path), "coco", tmp_path / "out")
    path.write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"labels\.slp cannot be read as a SLEAP file"):
        convert(path, "coco", tmp_path / "out")
    with pytest.raises(DataError, match=r"has 2 \.slp files"):
        (tmp_path / "two.slp").touch()
        convert(tmp_path, "coco", tmp_path / "out", format="sleap")
