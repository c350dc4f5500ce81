"""What it takes to trust a run and to repeat it."""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

from lp_core import LabelSet
from lp_detectors.conditional import ConditionalNet
from lp_detectors.top_down import TopDownNet
from lp_io import atomic_path
from torch import nn

from lp_train.data import RunData

PACKAGES = (
    "lp-core",
    "lp-io",
    "lp-backbones",
    "lp-heads",
    "lp-losses",
    "lp-data",
    "lp-train",
    "torch",
    "timm",
    "pytorch-lightning",
    "numpy",
    "av",
)


def data_hash(labels: LabelSet) -> str:
    """SHA-256 over image names, image bytes, keypoints and visibility."""
    digest = hashlib.sha256(labels.keypoints.tobytes() + labels.visibility.tobytes())
    for name in labels.images:
        digest.update(name.encode())
        digest.update((labels.root / name).read_bytes())
    return digest.hexdigest()


def write_provenance(path: Path, data: RunData, device: str, net: nn.Module) -> None:
    """Write versions, machine, data hash, split indices and how the animals are found as JSON."""
    facts = {
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "machine": {"system": platform.platform(), "device": device},
        "task": _task(net),
        "data": {
            "root": str(data.labels.root.resolve()),
            "labels": str(data.labels.source),
            "sha256": data_hash(data.labels),
        },
        "keypoint_names": list(data.labels.keypoint_names),
        "skeleton": [list(edge) for edge in data.labels.skeleton],
        "split": {part: getattr(data.split, part).tolist() for part in ("train", "val", "test", "unused")},
    }
    with atomic_path(path) as temporary:
        Path(temporary).write_text(json.dumps(facts, indent=1))


def _task(net: nn.Module) -> str:
    if isinstance(net, TopDownNet):
        return "conditional top down" if isinstance(net, ConditionalNet) else "top down"
    return "bottom up" if getattr(net, "animals", None) else "one animal"
