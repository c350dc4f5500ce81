"""The pictures that a run keeps: the subspaces of its labels, and how far its confidence can be trusted."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lp_train import Drawers, Evaluation
    from lp_train.subspaces import SubspaceFacts
    from numpy import ndarray


def drawers() -> "Drawers":
    """What draws the pictures in TensorBoard."""
    from lp_train import Drawers
    from lp_viz import heatmaps_grid, labels_grid, limbs_grid

    return Drawers(labels=labels_grid, heatmaps=heatmaps_grid, limbs=limbs_grid, subspace=draw_subspace)


def draw_subspace(facts: "SubspaceFacts") -> "ndarray":
    """One subspace of the labels as a picture."""
    from lp_viz import subspace_figure

    worst = (facts.image, facts.labeled, facts.reconstructed)
    title = f"{facts.name}: the subspace of the training labels"
    return subspace_figure(facts.variances, facts.kept, facts.errors, facts.epsilon, worst, title)


def write_pictures(root: Path, results: "list[Evaluation]") -> list[Path]:
    """`pca_singleview.png`, `pca_multiview.png`, `calibration.png`: those there is something to show in."""
    from lp_train import describe_subspaces
    from lp_viz import reliability_figure
    from PIL import Image

    pictures = {facts.name: draw_subspace(facts) for facts in describe_subspaces(root)}
    for result in results[:1]:
        if result.reliability:
            pictures["calibration"] = reliability_figure(
                result.reliability, result.coverage, f"{result.name}: calibrated on validation, shown on test frames"
            )
    paths = []
    for name, picture in pictures.items():
        paths.append(root / f"{name}.png")
        Image.fromarray(picture).save(paths[-1])
    return paths
