"""Pictures of a subspace and of calibrated errors: there is ink where the data are, and wrong data are one sentence."""

import subprocess
import sys

import numpy as np
import pytest
from lp_core import ConfigError, DataError
from lp_viz.reliability import BLUE, VERMILION, reliability_figure
from lp_viz.subspace import subspace_figure

ROWS = [(1.0, 1.1, 0.9, 40), (2.0, 2.5, 1.9, 40), (6.0, 9.0, 6.5, 10)]
COVERAGE = {0.5: 0.48, 0.9: 0.83, 0.95: 0.9}
RNG = np.random.default_rng(0)
POSE = RNG.uniform(10, 90, (5, 2))


def worst(labeled=POSE, off=3.0):
    return np.full((100, 120, 3), 90, np.uint8), labeled, labeled + off


def inked(picture, color):
    """Pixels of exactly this colour."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((picture == rgb).all(-1).sum())


def near_edge(picture):
    """Ink within three pixels of the border, where a label would be cut off."""
    edge = np.ones(picture.shape[:2], bool)
    edge[3:-3, 3:-3] = False
    return int((picture[edge] < 255).any(-1).sum())


def test_reliability_is_a_picture_in_two_colors():
    picture = reliability_figure(ROWS, COVERAGE, "a run")
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert inked(picture, BLUE) > 200 and inked(picture, VERMILION) > 100
    assert near_edge(picture) == 0
    assert np.array_equal(picture, reliability_figure(ROWS, COVERAGE, "a run"))
    left, right = np.split(picture, [picture.shape[1] // 2], axis=1)
    assert inked(left, VERMILION) and not inked(right, VERMILION)  # sigmas left, coverage right


@pytest.mark.parametrize(
    ("rows", "coverage"),
    [
        ([(3.0, 3.0, 3.0, 1)], {0.5: float("nan")}),  # one dot, nothing known of its coverage
        ([(1e-2, 0.0, 0.0, 20), (5e3, 4e3, 4e3, 20)], {}),  # perfect in one bin; six decades
        ([(2.0, float("nan"), 2.1, 500)], {0.0: 0.0, 1.0: 1.0}),
    ],
)
def test_reliability_of_extremes(rows, coverage):
    assert near_edge(reliability_figure(rows, coverage, "extremes")) == 0


@pytest.mark.parametrize("rows", [[], [(0.0, 1.0, 1.0, 3)]])
def test_reliability_of_nothing_is_one_sentence(rows):
    with pytest.raises(DataError, match="my run: no predicted sigma"):
        reliability_figure(rows, COVERAGE, "my run")


def test_subspace_is_a_picture_of_three_panels():
    errors = np.append(RNG.lognormal(1, 0.4, 200), np.nan)
    picture = subspace_figure(np.array([9.0, 4, 1, 0.5, 0.1, 0]), 2, errors, 5.0, worst(), "a run")
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert near_edge(picture) == 0
    left, middle, right = np.array_split(picture, 3, axis=1)
    assert inked(left, BLUE) > 50 and inked(middle, BLUE) > 5000 and inked(middle, VERMILION) > 100
    assert (right == 90).all(-1).mean() > 0.2  # the image itself


def test_more_kept_components_are_more_blue():
    variances = np.geomspace(100, 0.1, 20)
    few, many = (subspace_figure(variances, kept, np.ones(3), 1.0, worst(), "")[:, :600] for kept in (3, 15))
    assert inked(many, BLUE) > inked(few, BLUE)


@pytest.mark.parametrize(
    ("errors", "epsilon", "labeled"),
    [
        (np.full(3, np.nan), 0.0, np.full((5, 2), np.nan)),  # nothing known
        (np.zeros(10), 0.0, POSE),  # a complete subspace
        (np.append(np.ones(50), 1e4), 2.0, POSE - 200),  # a long tail, a pose beyond the image
        (np.array([2.0]), 500.0, np.where(np.arange(5)[:, None] == 2, np.nan, POSE)),
    ],
)
def test_subspace_of_extremes(errors, epsilon, labeled):
    assert near_edge(subspace_figure(np.array([2.0, 0.0]), 2, errors, epsilon, worst(labeled), "extremes")) == 0


@pytest.mark.parametrize("kept", [0, 3])
def test_impossible_components_are_one_sentence(kept):
    with pytest.raises(ConfigError, match=f"kept={kept} must be between 1 and the 2"):
        subspace_figure(np.ones(2), kept, np.ones(3), 1.0, worst(), "a run")


def test_figures_need_neither_torch_nor_pyplot():
    code = (
        "import sys; import lp_viz.subspace, lp_viz.reliability; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib.pyplot', 'lp_train')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
