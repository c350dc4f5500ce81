"""Run a trained pose model fast, from video or images to keypoints in original pixels.

Names are imported when they are first used, so that `PredictOptions` does not bring torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lp_infer.choice import open_runtime
    from lp_infer.clusters import open_cluster
    from lp_infer.devices import pick_device
    from lp_infer.ensemble import Ensemble, combine, write_ensemble
    from lp_infer.filters import ConstantVelocity, OneEuro
    from lp_infer.images import predict_images
    from lp_infer.inference_copy import optimize
    from lp_infer.live import LivePredictor
    from lp_infer.live_pose import LivePose
    from lp_infer.many import VideosFailed, predict_many
    from lp_infer.options import PredictOptions, PredictReport
    from lp_infer.processors import Processor
    from lp_infer.runner import Runner
    from lp_infer.smoothing import Smoothed, best_s, smooth
    from lp_infer.video import predict_video
    from lp_infer.work import Job

_HOMES = {
    "open_runtime": "choice",
    "open_cluster": "clusters",
    "pick_device": "devices",
    "Ensemble": "ensemble",
    "combine": "ensemble",
    "write_ensemble": "ensemble",
    "OneEuro": "filters",
    "ConstantVelocity": "filters",
    "predict_images": "images",
    "optimize": "inference_copy",
    "LivePredictor": "live",
    "LivePose": "live_pose",
    "predict_many": "many",
    "VideosFailed": "many",
    "PredictOptions": "options",
    "PredictReport": "options",
    "Processor": "processors",
    "Runner": "runner",
    "Smoothed": "smoothing",
    "best_s": "smoothing",
    "smooth": "smoothing",
    "predict_video": "video",
    "Job": "work",
}

__all__ = [
    "ConstantVelocity",
    "Ensemble",
    "Job",
    "LivePose",
    "LivePredictor",
    "OneEuro",
    "PredictOptions",
    "PredictReport",
    "Processor",
    "Runner",
    "Smoothed",
    "VideosFailed",
    "best_s",
    "combine",
    "open_cluster",
    "open_runtime",
    "optimize",
    "pick_device",
    "predict_images",
    "predict_many",
    "predict_video",
    "smooth",
    "write_ensemble",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
