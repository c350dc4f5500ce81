"""Our target generators and grouping on one thread; run as `python -m bench.targets KIND NUMBER` (`bench.scene.CASES`)."""

from collections.abc import Callable
from typing import Any

import torch
from lp_core import AnimalHeadConfig, Animals, heads, target_generators
from lp_heads.cells import labeled

from bench.clock import report
from bench.scene import Scene


def several(scene: Scene, name: str, **options: Any) -> Any:
    """The head `name` for a scene's animals; its layers are never used."""
    animals = Animals(
        individuals=tuple(f"animal{i}" for i in range(scene.animals)), parts=tuple(f"p{i}" for i in range(scene.parts))
    )
    config = heads.make(name, **options)
    assert isinstance(config, AnimalHeadConfig)
    return config.build_animals(channels=64, stride=16, animals=animals, image_size=scene.size)


def paf_head(scene: Scene) -> Any:
    """The head `paf` with the scene's limbs."""
    return several(scene, "paf", edges=[list(edge) for edge in scene.edges])


def function_of(kind: str, scene: Scene) -> Callable[[], Any]:
    """What is timed."""
    torch.set_num_threads(1)
    points = torch.from_numpy(scene.points()).float()
    each = torch.full(points.shape[:3], 2)
    flat, seen = points.flatten(1, 2), each.flatten(1)
    if kind == "dekr":
        targets = several(scene, "dekr").target_generator
        return lambda: targets(flat, seen)
    if kind == "paf":
        limbs = paf_head(scene).target_generator.limbs
        return lambda: limbs(points, labeled(points, each, scene.size))
    if kind == "grouping":
        return _decoding(scene, flat, seen)
    if scene.animals == 1:
        single = target_generators.make("locref", target=kind).build(image_size=scene.size, stride=scene.stride)
        return lambda: single(flat, seen)
    factor = scene.stride.bit_length() - 1
    maps = several(scene, "paf", target=kind, downsample_factor=factor).target_generator.maps
    return lambda: maps(points.transpose(1, 2), labeled(points, each, scene.size).transpose(1, 2))


def _decoding(scene: Scene, flat: torch.Tensor, seen: torch.Tensor) -> Callable[[], Any]:
    """The predictor of the head `paf`, on the outputs of a network that is always right."""
    head = paf_head(scene)
    maps = head.target_generator(flat, seen)
    outputs = {
        "scoremaps_pred": torch.logit(maps["scoremaps_targ"].clamp(1e-4, 1 - 1e-4)),
        "locref_pred": maps["locref_targ"], "paf_pred": maps["paf_targ"],
    }  # fmt: skip
    return lambda: head.predictor(outputs)[0].unflatten(1, (scene.animals, -1)).numpy()


if __name__ == "__main__":
    report(function_of)
