"""Combining members against NumPy, the table, and all of it against the published package where it is installed."""

import csv
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from lp_core import DataError, PoseTable
from lp_infer.ensemble import COLUMNS, combine, write_ensemble
from lp_infer.smoothing import best_s, log_likelihood, smooth, typical_noise
from lp_io import write_predictions


def members(frames=60, keypoints=3, count=3, seed=0):
    """Tables that follow one walk, each with errors of its own."""
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.normal(0, 1.5, (frames, keypoints, 2)), 0) + 200
    doubt = np.exp(rng.normal(0, 1, (frames, keypoints, 1)))
    return {
        f"{i}.csv": PoseTable(
            keypoint_names=tuple(f"k{k}" for k in range(keypoints)),
            index=tuple(range(frames)),
            keypoints=truth + rng.normal(size=truth.shape) * doubt,
            confidence=rng.uniform(0.3, 1, (frames, keypoints)),
        )
        for i in range(count)
    }


@pytest.fixture
def tables():
    return members()


def stacked(tables):
    return np.stack([t.keypoints for t in tables.values()]), np.stack([t.confidence for t in tables.values()])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_median_mean_and_population_variance(count):
    tables = members(count=count)
    keypoints, confidence = stacked(tables)
    ensemble = combine(tables)
    np.testing.assert_allclose(ensemble.keypoints, np.median(keypoints, 0), rtol=1e-14)
    np.testing.assert_allclose(combine(tables, mean=True).keypoints, keypoints.mean(0))
    np.testing.assert_allclose(ensemble.variance, keypoints.var(0))
    np.testing.assert_allclose(ensemble.confidence, confidence.mean(0))
    np.testing.assert_allclose(ensemble.noise, keypoints.var(0) / confidence.mean(0)[..., None])
    assert ensemble.deviation == pytest.approx(np.sqrt(keypoints.var(0).sum(-1)).mean())
    assert (ensemble.keypoint_names, ensemble.index) == (("k0", "k1", "k2"), tuple(range(60)))


def test_a_member_that_sees_nothing_is_left_out(tables):
    keypoints, confidence = stacked(tables)
    tables["0.csv"].keypoints[0, 0] = np.nan
    tables["0.csv"].confidence[0, 0] = np.nan
    tables["1.csv"].keypoints[1, 1, 0] = np.nan  # half a position is none
    for name in ("0.csv", "1.csv"):
        tables[name].keypoints[2, 2] = np.nan
    for table in tables.values():
        table.keypoints[3, 0] = np.nan
    ensemble = combine(tables)
    np.testing.assert_allclose(ensemble.keypoints[0, 0], keypoints[1:, 0, 0].mean(0))
    np.testing.assert_allclose(ensemble.variance[1, 1], keypoints[::2, 1, 1].var(0))
    np.testing.assert_allclose(ensemble.confidence[1, 1], confidence[::2, 1, 1].mean())
    np.testing.assert_array_equal(ensemble.keypoints[2, 2], keypoints[2, 2, 2])
    assert np.isnan(ensemble.variance[2, 2]).all()
    np.testing.assert_allclose(ensemble.noise[2, 2], 1 / confidence[2, 2, 2])
    assert all(np.isnan(a[3, 0]).all() for a in (ensemble.keypoints, ensemble.confidence, ensemble.noise))
    assert np.isfinite(ensemble.deviation) and np.isfinite(ensemble.keypoints).sum() == 60 * 6 - 2


def test_one_member_is_as_sure_as_it_says(tables):
    one = {"0.csv": tables["0.csv"]}
    one["0.csv"].confidence[0] = 0
    ensemble = combine(one)
    np.testing.assert_array_equal(ensemble.keypoints, one["0.csv"].keypoints)
    np.testing.assert_allclose(ensemble.noise[1:, :, 1], 1 / one["0.csv"].confidence[1:])
    np.testing.assert_allclose(ensemble.noise[0], 1e5)
    assert np.isnan(ensemble.deviation)


def test_agreement_without_confidence_is_not_trusted(tables):
    for table in tables.values():
        table.keypoints[5], table.confidence[5] = 0, 0  # how other tools write what they did not find
        table.confidence[6] = np.nan
    noise = combine(tables).noise
    assert np.all(noise[5] == 1000) and np.all(noise[6] >= 1000) and np.all(noise[7:] < 1000)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"keypoint_names": ("k0", "k1", "ear")}, r"0\.csv has the keypoints k0, k1, k2 but 2\.csv has k0, k1, ear; "),
        ({"index": tuple(range(59))}, r"The 60 rows of 0\.csv are not the 59 rows of 2\.csv; "),
        ({"index": tuple(range(1, 61))}, r"The 60 rows of 0\.csv are not the 60 rows of 2\.csv; "),
    ],
)
def test_members_must_be_of_one_video(tables, change, sentence):
    tables["2.csv"] = replace(tables["2.csv"], **change)
    with pytest.raises(DataError, match=sentence):
        combine(tables)


def test_nothing_to_combine(tables):
    with pytest.raises(DataError, match="no prediction table"):
        combine({})
    empty = replace(tables["0.csv"], index=(), keypoints=np.empty((0, 3, 2)), confidence=np.empty((0, 3)))
    with pytest.raises(DataError, match=r"0\.csv holds no frames"):
        combine({"0.csv": empty, "1.csv": empty})


def read(path):
    rows = list(csv.reader(path.open()))
    return rows[:3], np.array([[float(cell or "nan") for cell in row] for row in rows[3:]])


def test_table(tables, tmp_path):
    for table in tables.values():
        table.keypoints[4, 1] = np.nan
    ensemble = combine(tables)
    smoothed = smooth(ensemble.keypoints, ensemble.noise, 2.0)
    write_ensemble(tmp_path / "new" / "v.csv", ensemble, smoothed)
    header, values = read(tmp_path / "new" / "v.csv")
    assert header[0] == ["scorer", *["ensemble-kalman_tracker"] * 27]
    assert header[1] == ["bodyparts", *["k0"] * 9, *["k1"] * 9, *["k2"] * 9]
    assert header[2] == ["coords", *COLUMNS * 3] and header[2][4:6] == ["x_ens_median", "y_ens_median"]
    np.testing.assert_array_equal(values[:, 0], range(60))
    values = values[:, 1:].reshape(60, 3, 9)
    for columns, expected in (
        (slice(0, 2), smoothed.keypoints),
        (2, ensemble.confidence),
        (slice(3, 5), ensemble.keypoints),
        (slice(5, 7), ensemble.noise),
        (slice(7, 9), smoothed.variance),
    ):
        np.testing.assert_array_equal(values[..., columns], expected)
    assert np.isfinite(values[4, 1, [0, 1, 7, 8]]).all() and np.isnan(values[4, 1, 2:7]).all()


def test_table_of_what_was_not_smoothed(tables, tmp_path):
    ensemble = combine(tables)
    write_ensemble(tmp_path / "v.csv", ensemble)
    values = read(tmp_path / "v.csv")[1][:, 1:].reshape(60, 3, 9)
    np.testing.assert_array_equal(values[..., :2], values[..., 3:5])
    assert np.isnan(values[..., 7:]).all()


def test_half_a_table_is_never_left(tables, tmp_path):
    ensemble = replace(combine(tables), index=tuple(range(59)))
    with pytest.raises(ValueError, match="zip"):
        write_ensemble(tmp_path / "v.csv", ensemble)
    assert list(tmp_path.iterdir()) == []


def test_it_comes_without_torch():
    code = "import sys, lp_infer.ensemble; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def published(tmp_path):
    """The package's answer, in double precision, for tables as files."""
    eks = pytest.importorskip("eks", reason="the published ensemble-kalman-smoother is not installed beside us")
    import jax

    jax.config.update("jax_enable_x64", True)

    def run(tables, s=None):
        for name, table in tables.items():
            write_predictions(tmp_path / name, table)
        files = [str(tmp_path / name) for name in tables]
        found, s, *_ = eks.fit_eks_singlecam(files, str(tmp_path / "out" / "eks.csv"), smooth_param=s)
        return found.to_numpy().reshape(len(found), -1, len(COLUMNS)), np.asarray(s), tmp_path / "out" / "eks.csv"

    return run


@pytest.mark.parametrize("s", [0.01, 1.0, 50.0])
def test_the_published_package_says_the_same(published, s):
    tables = members(300, 4)
    theirs, *_ = published(tables, s)
    ensemble = combine(tables)
    smoothed = smooth(ensemble.keypoints, ensemble.noise, s)
    np.testing.assert_allclose(ensemble.keypoints, theirs[..., 3:5], rtol=0, atol=1e-4)
    np.testing.assert_allclose(ensemble.noise, theirs[..., 5:7], rtol=1e-4)
    np.testing.assert_allclose(smoothed.keypoints, theirs[..., :2], rtol=0, atol=1e-3)
    np.testing.assert_allclose(smoothed.variance, theirs[..., 7:9], rtol=1e-3, atol=1e-5)


def test_s_is_at_least_as_likely_as_the_published_packages(published):
    tables = members(300, 4)
    ensemble = combine(tables)
    constant = typical_noise(ensemble.noise)
    ours, theirs = best_s(ensemble.keypoints, constant), published(tables)[1]
    likelihood = log_likelihood(ensemble.keypoints, constant, np.stack([ours, theirs]))
    assert np.all(likelihood[0] > likelihood[1] - 1e-3)


def test_the_published_packages_header_is_ours(published, tables, tmp_path):
    file = published(tables, 1.0)[-1]
    ensemble = combine(tables)
    write_ensemble(tmp_path / "ours.csv", ensemble, smooth(ensemble.keypoints, ensemble.noise, 1.0))
    assert read(file)[0] == read(tmp_path / "ours.csv")[0]
    np.testing.assert_allclose(read(file)[1], read(tmp_path / "ours.csv")[1], rtol=1e-3, atol=1e-3)
