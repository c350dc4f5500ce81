"""Times of frames, kept in little memory, against NumPy on the plain numbers."""

import numpy as np
import pytest
from lp_io.frame_times import BLOCK, FrameTimes, increases

KINDS = {
    "equal": np.arange(2 * BLOCK + 5) * 512 - 1024,
    "one step differs, between blocks": np.arange(2 * BLOCK + 5) * 512 + 7 * (np.arange(2 * BLOCK + 5) > BLOCK),
    "one": np.array([90]),
    "two": np.array([90, 93]),
    "beyond 32 bits": np.cumsum(np.array([5, 1 << 40, 1, 2])),
}


def check(values: np.ndarray) -> None:
    """All that is asked of times, against the plain numbers."""
    times = FrameTimes.of(values)
    np.testing.assert_array_equal(times.all(), values)
    assert len(times) == len(values)
    for place in {0, len(values) // 2, len(values) - 1}:
        assert times.at(place) == values[place] and times.find(int(values[place])) == place
    for absent in {int(values[0]) - 1, int(values[-1]) + 1, int(values[len(values) // 2]) + 1} - set(values.tolist()):
        assert times.find(absent) is None
    if len(values) > 1:
        gaps = np.diff(values)
        assert times.spacing() == (np.median(gaps), gaps.min(), gaps.max())


@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
def test_compact_times_answer_as_plain_ones(values):
    check(values)


@pytest.mark.parametrize("seed", range(20))
def test_any_times_do(seed):
    rng = np.random.default_rng(seed)
    gaps = rng.integers(1, 1 + rng.integers(1, 40), rng.integers(0, 30))
    check(rng.integers(-(10**6), 10**6) + np.cumsum([0, *gaps]))


def test_equally_spaced_frames_take_no_memory_each():
    assert FrameTimes.of(KINDS["equal"]).later.nbytes == 0
    assert FrameTimes.of(KINDS["one step differs, between blocks"]).later.itemsize == 4


def test_a_step_back_or_none_is_seen_where_blocks_meet():
    values = np.arange(3 * BLOCK)
    assert increases(values)
    for at in (BLOCK, BLOCK + 1, 3 * BLOCK - 1):
        changed = values.copy()
        changed[at] = changed[at - 1]
        assert not increases(changed)
