import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError, LabelSet, Resize
from lp_data import BatchLoader, LabeledDataset, batch_rows, epoch_order, propose_image_size, split_indices
from PIL import Image


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(0)
    names = []
    for i, (height, width) in enumerate([(60, 80), (60, 80), (50, 40), (60, 80), (60, 80), (60, 80)]):
        pixels = np.full((height, width, 3), 40 * i, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"img{i}.png")
        names.append(f"img{i}.png")
    keypoints = rng.uniform(0, 39, (6, 2, 2))
    keypoints[1, 0] = np.nan
    visibility = np.where(np.isnan(keypoints).any(-1), 0, 2)
    return LabelSet(
        root=tmp_path,
        source=tmp_path / "labels.csv",
        images=tuple(names),
        keypoint_names=("a", "b"),
        keypoints=keypoints,
        visibility=visibility,
    )


@pytest.mark.parametrize(
    ("n", "train", "val"), [(90, 0.8, 0.1), (55, 0.8, 0.1), (20, 0.5, 0.08), (12, 0.9, 0.1), (6, 0.95, 0.05)]
)
def test_splits_are_torch_s_random_split_with_the_reference_s_sizes(n, train, val):
    """Independent statement of the rule: `torch.utils.data.random_split` does the drawing."""
    sizes = [int(np.floor(train * n)), int(np.floor(val * n))]
    rest = n - sum(sizes)
    sizes = [sizes[0] + rest, sizes[1], 0] if rest < 5 else [*sizes, rest]
    sizes = [sizes[0] - 1, 1, sizes[2]] if sizes[1] == 0 else sizes
    expected = torch.utils.data.random_split(range(n), sizes, generator=torch.Generator().manual_seed(42))
    split = split_indices(n, train, val, seed=42)
    for part, subset in zip((split.train, split.val, split.test), expected, strict=True):
        assert part.tolist() == list(subset)


def test_shares_on_a_fine_grid_never_fail():
    """The reference asserts that floats add up to exactly one and fails for .5 and .08."""
    for t in range(1, 100):
        for v in range(0, 101 - t):
            split = split_indices(200, t / 100, min(v / 100, 0.99), 0)
            assert sorted(np.concatenate([split.train, split.val, split.test]).tolist()) == list(range(200))


def test_train_frames():
    everything = split_indices(100, 0.8, 0.1, 1)
    ten, half = split_indices(100, 0.8, 0.1, 1, 10), split_indices(100, 0.8, 0.1, 1, 0.5)
    assert ten.train.tolist() == everything.train[:10].tolist() and len(ten.unused) == 70
    assert len(half.train) == 40 and half.val.tolist() == everything.val.tolist()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((100, 0.9, 0.2), "add up to at most 1"),
        ((1, 0.8, 0.1), "label more"),
        ((100, 0.8, 0.1, 0, -1), "above zero"),
        ((10, 0.8, 0.1, 0, 0.01), "leaves none"),
    ],
)
def test_impossible_splits_are_one_sentence(arguments, words):
    with pytest.raises(ConfigError, match=words):
        split_indices(*arguments)


def test_keypoints_are_moved_into_the_input_frame(labels):
    batch = LabeledDataset(labels, (32, 64)).batch(np.array([2, 0]))
    for row, original in ((0, (50, 40)), (1, (60, 80))):
        source = labels.keypoints[[2, 0][row]]
        np.testing.assert_allclose(batch.keypoints[row].numpy(), Resize(original, (32, 64)).forward(source), atol=1e-4)
    assert batch.images.shape == (2, 3, 32, 64) and batch.images[0].float().mean() == 80 and batch.images[1].max() == 0
    assert batch.original_size.tolist() == [[50, 40], [60, 80]] and batch.index.tolist() == [2, 0]


def test_memory_mapped_frames_are_the_same(labels, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    in_memory = LabeledDataset(labels, (32, 32)).images
    for _ in range(2):  # written, then found
        assert torch.equal(LabeledDataset(labels, (32, 32), limit_bytes=10).images, in_memory)
    assert [p.suffix for p in (tmp_path / "cache" / "lp" / "frames").iterdir()] == [".u8"]


def test_a_damaged_image_is_named(labels):
    (labels.root / "img3.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"img3\.png cannot be read as an image"):
        LabeledDataset(labels, (32, 32))


def test_order_is_a_function_of_seed_and_step(labels):
    rows = np.arange(6)
    steps = [batch_rows(rows, 4, 1, step).tolist() for step in range(6)]
    assert [len(s) for s in steps] == [4, 2] * 3
    epochs = [steps[2 * e] + steps[2 * e + 1] for e in range(3)]
    assert all(sorted(e) == list(range(6)) for e in epochs) and len({tuple(e) for e in epochs}) > 1
    assert batch_rows(rows, 4, 1, 4).tolist() == steps[4]
    assert not np.array_equal(epoch_order(np.arange(50), 1, 0), epoch_order(np.arange(50), 2, 0))
    loader = BatchLoader(LabeledDataset(labels, (32, 32)), rows, 4)
    assert [batch.index.tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5]] and len(loader) == 2


def test_proposed_size(labels):
    assert propose_image_size(labels) == (128, 128)
