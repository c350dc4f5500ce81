"""Colours and places of read and written frames against the definitions of the colour matrices in float64."""

import av
import numpy as np
import pytest
from lp_io import VideoReader, VideoWriter
from PIL import Image

HEIGHT, WIDTH = 128, 192
MATRICES = {2: (0.299, 0.114), 1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
UNSAID, LIMITED, FULL = 0, 1, 2


def resized(plane: np.ndarray, height: int, width: int, kernel=Image.Resampling.BILINEAR) -> np.ndarray:
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), kernel), dtype=np.float64)


def smooth(rng: np.random.Generator, height: int, width: int, low: float, high: float) -> np.ndarray:
    values = resized(rng.normal(size=(6, 6)), height, width, Image.Resampling.BICUBIC)
    return (low + (values - values.min()) / np.ptp(values) * (high - low)).round()


def doubled(samples: np.ndarray, axis: int, first: float) -> np.ndarray:
    """Twice as many samples along `axis` by straight lines; pixel 0 lies at `first` in units of samples."""
    count = samples.shape[axis]
    at = np.clip(first + np.arange(2 * count) / 2, 0, count - 1)
    return np.apply_along_axis(lambda line: np.interp(at, np.arange(count), line), axis, samples)


def rgb_of(planes: list[np.ndarray], kr: float, kb: float, full: bool) -> np.ndarray:
    """BT.601, 709 and 2020 all define RGB by two numbers; colour samples lie at the left, between the rows."""
    y, u, v = planes[0], *(p - 128 for p in planes[1:])
    if u.shape[1] < y.shape[1]:
        u, v = doubled(u, 1, 0.0), doubled(v, 1, 0.0)
    if u.shape[0] < y.shape[0]:
        u, v = doubled(u, 0, -0.25), doubled(v, 0, -0.25)
    if not full:
        y, u, v = (y - 16) * 255 / 219, u * 255 / 224, v * 255 / 224
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue], -1).clip(0, 255)


def write_planes(path, pixels: str, planes: list[np.ndarray], space: int, extent: int) -> None:
    """A lossless H.264 frame of exactly these samples."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixels)
    kind = np.uint16 if "10" in pixels else np.uint8
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    frame.pts, frame.colorspace, frame.color_range = 0, space, extent
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = space, extent
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("pixels", "space", "extent"),
    [
        ("yuv420p", 2, UNSAID),  # as nearly every camera writes: BT.601 and limited
        ("yuv420p", 6, LIMITED),
        ("yuv420p", 1, LIMITED),
        ("yuv420p", 1, FULL),
        ("yuvj420p", 5, FULL),
        ("yuv420p10le", 1, LIMITED),
        ("yuv420p10le", 9, LIMITED),
        ("yuv422p", 1, LIMITED),
        ("yuv444p", 6, LIMITED),
    ],
)
def test_colours_are_those_of_the_matrix_the_file_names(tmp_path, pixels, space, extent):
    rng = np.random.default_rng(1)
    scale = 4 if "10" in pixels else 1
    across, down = (1 if "444" in pixels else 2), (2 if "420" in pixels else 1)
    planes = [smooth(rng, HEIGHT, WIDTH, 60 * scale, 190 * scale)]
    planes += [smooth(rng, HEIGHT // down, WIDTH // across, 90 * scale, 160 * scale) for _ in range(2)]
    write_planes(tmp_path / "v.mp4", pixels, planes, space, extent)
    expected = rgb_of([p / scale for p in planes], *MATRICES[space], full=extent == FULL)
    with VideoReader(tmp_path / "v.mp4") as reader:
        difference = reader.clip(0, 1)[0] - expected
    assert np.abs(difference).max() < 0.75 and np.abs(difference.mean((0, 1))).max() < 0.05
    expected = np.stack([resized(expected[..., k], 48, 56) for k in range(3)], -1)
    with VideoReader(tmp_path / "v.mp4", (48, 56)) as reader:
        difference = reader.clip(0, 1)[0] - expected
    assert np.abs(difference.mean((0, 1))).max() < 0.05 and np.sqrt((difference**2).mean()) < 0.5


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (100, 200), (256, 384)])
def test_resizing_neither_darkens_nor_brightens(tmp_path, size):
    rng = np.random.default_rng(2)
    planes = [rng.integers(40, 220, (HEIGHT, WIDTH)).astype(float)]
    planes += [smooth(rng, HEIGHT // 2, WIDTH // 2, 115, 140) for _ in range(2)]
    write_planes(tmp_path / "v.mp4", "yuv420p", planes, 2, UNSAID)
    full = rgb_of(planes, *MATRICES[2], full=False)
    expected = np.stack([resized(full[..., k], *size) for k in range(3)], -1)
    with VideoReader(tmp_path / "v.mp4", size) as reader:
        difference = reader.clip(0, 1)[0] - expected
    assert np.abs(difference.mean((0, 1))).max() < 0.15


def centre(channel: np.ndarray) -> np.ndarray:
    distance = np.abs(channel - channel[0, 0])
    distance[distance < 0.1 * distance.max()] = 0
    y, x = np.indices(channel.shape)
    return np.array([(x * distance).sum(), (y * distance).sum()]) / distance.sum()


def blob(colour: tuple[int, int, int]) -> np.ndarray:
    y, x = np.indices((256, 320))
    weight = np.exp(-((x - 160.3) ** 2 + (y - 120.7) ** 2) / 72)[..., None]
    return 110 + weight * (np.array(colour) - 110.0)


@pytest.mark.parametrize("colour", [(230, 20, 20), (20, 20, 230), (20, 230, 20)])
@pytest.mark.parametrize("size", [(256, 320), (100, 100)])
def test_saturated_colours_stay_where_they_are(tmp_path, colour, size):
    picture = blob(colour)
    with VideoWriter(tmp_path / "v.mp4", 10, (256, 320), crf=1) as writer:
        writer.write(picture.round().astype(np.uint8))
    with VideoReader(tmp_path / "v.mp4", size) as reader:
        shown = reader.clip(0, 1)[0].astype(float)
    for channel in range(3):
        expected = centre(resized(picture[..., channel], *size))
        np.testing.assert_allclose(centre(shown[..., channel]), expected, atol=0.1)


def test_a_written_file_names_its_colours(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10, (64, 64)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    with av.open(str(tmp_path / "v.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (5, LIMITED)
