"""The ten examples of docs/beside-deeplabcut.md in DeepLabCut itself: what each of them gives there.

PYTHON -m bench.deeplabcut_defects, in the root of the repository, with the Python of an environment that has deeplabcut and
needs nothing of ours.
"""

import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deeplabcut.core import trackingutils
from deeplabcut.core.metrics.distance_metrics import compute_rmse
from deeplabcut.pose_estimation_pytorch.config import make_pytorch_pose_config
from deeplabcut.pose_estimation_pytorch.models import PoseModel
from deeplabcut.pose_estimation_pytorch.models.predictors import PREDICTORS, DEKRPredictor, PartAffinityFieldPredictor
from deeplabcut.pose_estimation_pytorch.models.target_generators import HeatmapGaussianGenerator
from deeplabcut.pose_estimation_pytorch.registry import Registry
from deeplabcut.refine_training_dataset.stitch import Tracklet, TrackletStitcher

ANGLE = np.linspace(0, 2 * np.pi, 6, endpoint=False)
BODY = np.stack([20 * np.cos(ANGLE), 10 * np.sin(ANGLE)], axis=-1)
START, SPEED = np.array([[60, 60], [200, 200], [340, 340]]), np.array([[0.5, 0.2], [-0.3, 0.4], [0, 0]])


def kalman_filter() -> str:
    """A resting animal, and three that move evenly."""
    ellipse = trackingutils.EllipseFitter(2).fit(np.add(BODY, [300, 200])).parameters
    resting = trackingutils.EllipseTracker(ellipse)
    for _ in range(5):
        resting.predict()
        resting.update(ellipse)
    sort = trackingutils.SORTEllipse(1, 1, 0.6)
    poses = (START + SPEED * np.arange(300)[:, None, None])[:, :, None] + BODY
    rows = [sort.track(frame) for frame in poses]
    tracks = {int(number) for frame in rows for number in frame[:, -2]}
    where = np.round(resting.state[:2], 1).tolist()
    return f"at rest in [300, 200]: {where}; {len(tracks)} tracklets, {sum(map(len, rows))} of 900 poses"


def ellipse_without_fit() -> str:
    """Two animals, the first with one keypoint."""
    poses = np.stack([np.add(BODY, [20, 20]), np.add(BODY, [315, 100])])
    poses[0, 1:] = np.nan
    (row,) = trackingutils.SORTEllipse(1, 1, 0.6).track(poses)
    return f"the ellipse at {np.round(row[:2]).tolist()} has the pose of animal {int(row[-1])}"


def stitching() -> str:
    """Short pieces beside a long one, the latest first."""

    def piece(first: int, last: int) -> Tracklet:
        data = np.ones((last - first + 1, 6, 3))
        data[..., :2] = BODY + np.arange(first, last + 1)[:, None, None]
        return Tracklet(data, np.arange(first, last + 1))

    pieces = [piece(0, 59), piece(100, 104), piece(70, 74), piece(76, 80)]
    left = TrackletStitcher(pieces, n_tracks=1).residuals
    return f"of [100-104, 70-74, 76-80] remain {[f'{t.start}-{t.end}' for t in left]}"


def default_configuration() -> str:
    """`rtmpose_x` as it is configured."""
    project = {
        "project_path": tempfile.gettempdir(), "multianimalproject": False, "bodyparts": ["nose", "tail"], "individuals": ["a"],
        "multianimalbodyparts": [], "uniquebodyparts": [], "Task": "t", "scorer": "s", "date": "d",
    }  # fmt: skip
    path = Path(tempfile.gettempdir()) / "pytorch_config.yaml"
    made: Any = make_pytorch_pose_config(project, path, net_type="rtmpose_x", top_down=True)
    config = made.to_dict() if hasattr(made, "to_dict") else made
    config["model"]["backbone"]["pretrained"] = False
    crop = config["data"]["train"]["top_down_crop"]
    return f"crop {crop}: {tried(PoseModel.build(config['model']), torch.zeros(1, 3, crop['height'], crop['width']))}"


def shared_keypoint() -> str:
    """Two animals that share one of ten keypoints, and three that share none."""
    places = torch.rand(2, 10, 2, generator=torch.Generator().manual_seed(0)) * 40 + torch.tensor(
        [[[100.0]], [[200.0]]]
    )
    places[1, 0] = places[0, 0]
    scores = torch.tensor([0.9, 0.7])[:, None, None].expand(2, 10, 1)
    kept = DEKRPredictor(num_animals=2).pose_nms(torch.cat([places, scores], dim=-1)[None])
    apart = torch.rand(3, 10, 2) * 20 + 100 * torch.arange(3)[:, None, None]
    ranked = torch.cat([apart, torch.tensor([0.9, 0.7, 0.5])[:, None, None].expand(3, 10, 1)], dim=-1)[None]
    order = DEKRPredictor(num_animals=3).pose_nms(ranked)[0, :, 0, 2]
    return f"second animal {kept[0, 1, 1].tolist()}; scores 0.9, 0.7, 0.5 come as {[round(float(s), 1) for s in order]}"


def offsets() -> str:
    """Gaussian maps of two animals."""
    generator = HeatmapGaussianGenerator(num_heatmaps=1, pos_dist_thresh=17, generate_locref=True)
    outputs = {"heatmap": torch.zeros(1, 1, 32, 32), "locref": torch.zeros(1, 2, 32, 32)}
    keypoints = torch.tensor([[[[40.0, 100.0, 2.0]], [[180.0, 100.0, 2.0]]]])
    found = generator(8.0, outputs, {"keypoints": keypoints})["locref"]
    cells = [(x // 8, 12) for x in (40, 180)]
    ends = [8 * x + 4 + 7.2801 * float(torch.as_tensor(found["target"])[0, 0, y, x]) for x, y in cells]
    weights = [float(torch.as_tensor(found["weights"])[0, 0, y, x]) for x, y in cells]
    return f"from x = 40 and 180 they lead to {[round(end, 1) for end in ends]}, with weights {weights}"


def limb_direction() -> str:
    """A limb along its field, and one against it."""
    field = torch.zeros(1, 1, 2, 32, 32)
    field[:, :, 0] = 1
    peaks = torch.tensor([[0, 0, 16, 5], [0, 1, 16, 25], [0, 0, 20, 25], [0, 1, 20, 5]])
    (costs,) = PartAffinityFieldPredictor.compute_edge_costs(field, peaks, [(0, 1)], [0], 2)
    return f"affinity along the field {costs[0]['m1'][0, 0]}, against it {costs[0]['m1'][1, 1]}"


def misspelt_option() -> str:
    """An option that there is not."""
    made = PREDICTORS.build({"type": "HeatmapPredictor", "location_refinment": False})
    return f"location_refinment=False is taken; location_refinement is {made.location_refinement}"


def called_decorator() -> str:
    """With parentheses."""
    return tried(lambda cls: Registry("parts").register_module()(cls), object)


def mean_error() -> str:
    """Errors of 0, 0, 0 and 8 pixels."""
    labels = np.array([[[0, 0, 2], [10, 0, 2], [0, 10, 2], [10, 10, 2.0]]])
    found = np.add(labels, [[[0, 0, -1], [0, 0, -1], [0, 0, -1], [8, 0, -1]]])
    return f"rmse {compute_rmse([(labels, found)], single_animal=True, pcutoff=0.6)['rmse']}"


def tried(function: Any, argument: Any) -> str:
    """What comes of a call, or what it ends with."""
    try:
        return f"runs, {type(function(argument)).__name__}"
    except Exception as e:
        return f"{type(e).__name__}: {e}"


EXAMPLES = (
    kalman_filter, ellipse_without_fit, stitching, default_configuration, shared_keypoint, offsets, limb_direction,
    misspelt_option, called_decorator, mean_error,
)  # fmt: skip

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    print("deeplabcut", version("deeplabcut"), "filterpy", version("filterpy"))
    for example in EXAMPLES:
        print(f"{example.__name__}: {example()}", flush=True)
