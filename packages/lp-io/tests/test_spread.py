"""How far members of an ensemble are apart."""

import numpy as np
from lp_io.spread import spread_of_table, spread_of_variance


def test_it_is_the_root_mean_square_distance_from_the_mean():
    points = np.random.default_rng(0).normal(size=(4, 10, 3, 2)) * (3, 1)
    distance = np.linalg.norm(points - points.mean(0), axis=-1)
    np.testing.assert_allclose(spread_of_variance(points.var(0)), np.sqrt((distance**2).mean(0)))


def test_turning_the_picture_changes_nothing():
    points = np.random.default_rng(0).normal(size=(4, 10, 2)) * (3, 1)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(spread_of_variance(points.var(0)), spread_of_variance((points @ turn).var(0)))


def test_a_table_holds_variances_over_confidence():
    columns = [("nose", c) for c in ("x", "y", "likelihood", "x_ens_var", "y_ens_var")]
    values = np.array([[0, 0, 0.5, 18, 32], [0, 0, 0, 18, 32], [0, 0, 0.5, np.nan, np.nan]])
    found = spread_of_table(columns, values, ["tail", "nose"])
    np.testing.assert_array_equal(found, [[np.nan, 5], [np.nan, np.nan], [np.nan, np.nan]])
    assert spread_of_table(columns[:3], values[:, :3], ["nose"]) is None
