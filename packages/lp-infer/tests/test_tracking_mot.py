"""Scores of tracks, on cases small enough to compute by hand."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from lp_core import ConfigError, DataError
from lp_infer.tracking import mot, mot_scores, track

sys.path.insert(0, str(Path(__file__).parent))
from tracking_fixtures import by_animal, shuffled, straight, swimming, table_of

needs_trackeval = pytest.mark.skipif(
    importlib.util.find_spec("trackeval") is None, reason='TrackEval is not installed: "lp-infer[mot]"'
)
TRUTH = straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 4)


@needs_trackeval
@pytest.mark.parametrize("gate", [None, 5.0])
def test_perfect_tracks(gate):
    scores = mot_scores(TRUTH[:, ::-1], TRUTH, gate=gate)
    assert (scores.hota, scores.idf1, scores.mota, scores.motp) == pytest.approx((1, 1, 1, 1))
    assert (scores.switches, scores.found, scores.missed, scores.invented) == (0, 8, 0, 0)


@needs_trackeval
def test_two_tracks_that_change_places_half_way():
    """Each of the two pairings has 4 of 8 poses. Each match has 2 frames right, 2 missed and 2 false: 2 / 6."""
    given = TRUTH.copy()
    given[2:] = given[2:, ::-1]
    scores = mot_scores(given, TRUTH)
    assert scores.switches == 2 and scores.mota == pytest.approx(1 - 2 / 8) and scores.idf1 == pytest.approx(0.5)
    assert scores.detection == pytest.approx(1) and scores.association == pytest.approx(1 / 3)
    assert scores.hota == pytest.approx(np.sqrt(1 / 3))


@needs_trackeval
def test_missed_and_invented_animals():
    """7 of 10 labeled poses are found, 1 is invented, and one animal is found again."""
    truth = straight([[50, 50], [250, 250]], [[1, 0], [0, 1]], 5)
    given = np.concatenate([truth, np.full_like(truth[:, :1], np.nan)], 1)
    given[1:3, 0] = given[4, 1] = np.nan
    given[3, 2] = 150 + np.arange(12.0).reshape(6, 2)
    scores = mot_scores(given, truth)
    assert (scores.found, scores.missed, scores.invented, scores.fragments, scores.switches) == (7, 3, 1, 1, 0)
    assert scores.mota == pytest.approx((7 - 1) / 10)
    assert scores.idf1 == pytest.approx(2 * 7 / (2 * 7 + 3 + 1))


@needs_trackeval
def test_the_gate_is_a_mean_distance():
    given = TRUTH + np.array([3.0, 4.0])
    assert mot_scores(given, TRUTH, gate=5.01).found == 8
    assert mot_scores(given, TRUTH, gate=4.99).found == 0
    assert mot_scores(given, TRUTH, gate=10.0).motp == pytest.approx(0.75)


@needs_trackeval
def test_tracking_makes_shuffled_animals_perfect_tracks():
    truth = swimming(200, 4, size=600)
    given, _ = shuffled(truth)
    assert mot_scores(given, truth).idf1 < 0.5
    assert mot_scores(by_animal(track(table_of(given))[0]), truth).hota == pytest.approx(1)


def test_similarity_is_the_oks_by_hand():
    """Area 30 × 10; of three labeled keypoints one is exact, one is d² = 12 away, one was not predicted."""
    truth = np.array([[[0, 0], [30, 0], [0, 10], [np.nan, np.nan]]])
    found = np.array([[[0, 0], [30, np.sqrt(12)], [np.nan, 10], [5, 5]]])
    expected = (1 + np.exp(-12 / (2 * 300 * 0.2**2))) / 3
    np.testing.assert_allclose(mot.similarities(found, truth, None), [[expected]])
    np.testing.assert_allclose(mot.similarities(found, truth, 10.0), [[1 - np.sqrt(12) / 2 / 20]])


def test_what_cannot_be_scored_is_said():
    with pytest.raises(DataError, match="4 frames of 6 keypoints per animal and the labels 3 of 6"):
        mot_scores(TRUTH, TRUTH[:3])
    with pytest.raises(ConfigError, match="gate=PIXELS"):
        mot_scores(TRUTH[:, :, :1], TRUTH[:, :, :1])
    with pytest.raises(ConfigError, match="gate=0"):
        mot_scores(TRUTH, TRUTH, gate=0)
    with pytest.raises(DataError, match="No animal is labeled"):
        mot_scores(TRUTH, np.full_like(TRUTH, np.nan))
