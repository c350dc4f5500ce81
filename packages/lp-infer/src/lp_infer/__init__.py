"""Run a trained pose model fast, from video or images to keypoints in original pixels.

Names are imported when they are first used, so that `PredictOptions` does not bring torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lp_infer.devices import pick_device
    from lp_infer.ensemble import Ensemble, combine, write_ensemble
    from lp_infer.images import predict_images
    from lp_infer.inference_copy import optimize
    from lp_infer.options import PredictOptions, PredictReport
    from lp_infer.runner import Runner
    from lp_infer.smoothing import Smoothed, best_s, smooth
    from lp_infer.video import predict_video

_HOMES = {
    "Ensemble": "ensemble",
    "combine": "ensemble",
    "write_ensemble": "ensemble",
    "Smoothed": "smoothing",
    "best_s": "smoothing",
    "smooth": "smoothing",
    "PredictOptions": "options",
    "PredictReport": "options",
    "Runner": "runner",
    "optimize": "inference_copy",
    "pick_device": "devices",
    "predict_images": "images",
    "predict_video": "video",
}

__all__ = [
    "Ensemble",
    "PredictOptions",
    "PredictReport",
    "Runner",
    "Smoothed",
    "best_s",
    "combine",
    "optimize",
    "pick_device",
    "predict_images",
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
