"""DeepLabCut's own target generators and grouping; run by the Python of an environment that has it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from deeplabcut.pose_estimation_pytorch.models.predictors import PartAffinityFieldPredictor
from deeplabcut.pose_estimation_pytorch.models.target_generators import (
    DEKRGenerator,
    HeatmapGaussianGenerator,
    HeatmapPlateauGenerator,
    PartAffinityFieldGenerator,
)

from bench.clock import report
from bench.scene import LOCREF_STD, RADIUS, WIDTH, Scene

KINDS = {"gaussian": HeatmapGaussianGenerator, "plateau": HeatmapPlateauGenerator}


def maps_of(scene: Scene, kind: str) -> Any:
    """The generator of score maps and offsets."""
    return KINDS[kind](num_heatmaps=scene.parts, pos_dist_thresh=RADIUS, locref_std=LOCREF_STD)


def labels_of(scene: Scene, *, centres: bool) -> dict[str, torch.Tensor]:
    """The scene, in DeepLabCut's pixels: all visible, each animal's centre last if it is wanted."""
    points = scene.points() + 0.5
    area = np.ptp(points, axis=2).prod(-1)
    if centres:
        points = np.concatenate([points, points.mean(2, keepdims=True)], axis=2)
    seen = np.full((*points.shape[:3], 1), 2.0)
    return {"keypoints": torch.from_numpy(np.concatenate([points, seen], -1)), "area": torch.from_numpy(area)}


def function_of(kind: str, scene: Scene) -> Callable[[], Any]:
    """What is timed."""
    torch.set_num_threads(1)
    labels = labels_of(scene, centres=kind == "dekr")
    empty = torch.zeros(len(labels["keypoints"]), scene.parts, *scene.cells)
    outputs = {"heatmap": empty, "locref": empty, "paf": empty, "offset": empty}
    if kind == "grouping":
        return _decoding(scene, outputs, labels)
    generators = {"paf": lambda: PartAffinityFieldGenerator(graph=scene.edges, width=WIDTH),
                  "dekr": lambda: DEKRGenerator(num_joints=scene.parts, pos_dist_thresh=RADIUS)}  # fmt: skip
    generator = generators[kind]() if kind in generators else maps_of(scene, kind)
    return lambda: generator(scene.stride, outputs, labels)


def _decoding(scene: Scene, outputs: dict[str, Any], labels: dict[str, Any]) -> Callable[[], Any]:
    """Its predictor, on the outputs of a network that is always right."""
    both = maps_of(scene, "plateau")(scene.stride, outputs, labels)
    both["heatmap"] = maps_of(scene, "gaussian")(scene.stride, outputs, labels)["heatmap"]  # one peak each, at its best
    both |= PartAffinityFieldGenerator(graph=scene.edges, width=WIDTH)(scene.stride, outputs, labels)
    maps = {key: value["target"].float() for key, value in both.items()}
    maps["heatmap"] = torch.logit(maps["heatmap"].clamp(1e-4, 1 - 1e-4))
    predictor = PartAffinityFieldPredictor(
        num_animals=scene.animals, num_multibodyparts=scene.parts, num_uniquebodyparts=0, graph=scene.edges,
        edges_to_keep=list(range(len(scene.edges))), locref_stdev=LOCREF_STD, nms_radius=5, sigma=1, min_affinity=0.05,
    )  # fmt: skip
    return lambda: predictor(scene.stride, maps)["poses"][..., :2].numpy() - 0.5


if __name__ == "__main__":
    report(function_of)
