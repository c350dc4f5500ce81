"""The skeleton beside a Lightning Pose project, whose own files keep none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

SKELETON = "skeleton.yaml"
SCENE = "scene.yaml"  # beside the demo's labels


def read_skeleton(root: Path, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of indices into `names` from `skeleton.yaml`, or the demo's `scene.yaml`; empty if there is neither."""
    pairs = next((found for file in (SKELETON, SCENE) if (found := _pairs(root / file))), [])
    return tuple((names.index(a), names.index(b)) for a, b in pairs if a in names and b in names)


def _pairs(path: Path) -> list[tuple[str, str]]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [(str(a), str(b)) for a, b in content["skeleton"]]
    except (OSError, yaml.YAMLError, ValueError, TypeError, KeyError):
        return []
