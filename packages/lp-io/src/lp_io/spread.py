"""How far the members of an ensemble are apart: the same number in messages, timelines and suggestions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

VARIANCES = ("x_ens_var", "y_ens_var")


def spread_of_variance(variance: Float[np.ndarray, "*rest 2"]) -> Float[np.ndarray, "*rest"]:
    """Pixels: the root mean square distance of the members from their mean, √(var x + var y).

    Args:
        variance: of x and y over the members, in pixels² (divided by their number).
    """
    return np.sqrt(variance.sum(-1))


def spread_of_table(
    columns: Sequence[tuple[str, str]], values: Float[np.ndarray, "rows columns"], names: Sequence[str]
) -> Float[np.ndarray, "rows keypoints"] | None:
    """The same from a table of the ensemble Kalman smoother, which `lpose ensemble` writes too.

    Its variances are divided by the members' mean confidence, the column `likelihood`; that is undone here.

    Args:
        columns: keypoint and coordinate of every column of `values`.
        names: of the keypoints that are wanted.

    Returns:
        NaN where the table says nothing, or no member is sure at all; None if it holds no variances.
    """
    where = {column: i for i, column in enumerate(columns)}
    if not any(coord in VARIANCES for _, coord in where):
        return None
    padded = np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan)
    x, y, sure = (padded[:, [where.get((n, c), -1) for n in names]] for c in (*VARIANCES, "likelihood"))
    return spread_of_variance(np.stack([x, y], -1) * np.where(sure > 0, sure, np.nan)[..., None])
