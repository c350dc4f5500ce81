"""The pictures that a run keeps: the subspaces of its labels, and how far its confidence can be trusted."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lp_train import Evaluation


def write_pictures(root: Path, results: "list[Evaluation]") -> list[Path]:
    """`pca_singleview.png`, `pca_multiview.png`, `calibration.png`: those there is something to show in."""
    from lp_train import describe_subspaces
    from lp_viz import reliability_figure, subspace_figure
    from PIL import Image

    pictures = {
        facts.name: subspace_figure(
            facts.variances, facts.kept, facts.errors, facts.epsilon,
            (facts.image, facts.labeled, facts.reconstructed), f"{facts.name}: the subspace of the training labels",
        )
        for facts in describe_subspaces(root)
    }  # fmt: skip
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
