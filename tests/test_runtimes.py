"""The networks of a training on every runtime: each head, and each family of backbones, against float64."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from lp_core import backbones, heads, runtimes
from torch import nn
from torch.nn import functional as F

SIZE, KEYPOINTS, BATCH = (64, 96), 5, 4
SHARPER = {"heatmap": 8, "simcc": 8, "heatmap_mhcrnn": 3, "regression": 1}  # weights, so that no two peaks are alike
ABSENT = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
FILES = [name for name in ("onnx", "openvino") if name in runtimes and not runtimes[name]().missing()]
pytestmark = pytest.mark.skipif(
    bool(ABSENT) or not FILES, reason=f"not installed here: {', '.join(ABSENT)} (pip install 'lp-infer[export,onnx]')"
)

NETWORKS = [
    ("resnet18", "heatmap", {}),
    ("resnet18", "heatmap", {"predictor": "lightning_pose"}),
    ("resnet18", "simcc", {}),
    ("resnet18", "heatmap_mhcrnn", {}),
    ("mobilenetv2_100", "regression", {}),
    ("hrnet_w18", "regression", {}),
    ("vits_dino", "regression", {}),
]


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def network(backbone, head, options):
    """Untrained, its normalisation fitted to the frames, with a head that is sure of something."""
    from lp_train import PoseNet

    torch.manual_seed(0)
    features = backbones.make(backbone, pretrained=False).build(SIZE)
    config = heads.make(head, **options)
    made = config.build(channels=features.channels, stride=features.stride, num_keypoints=KEYPOINTS, image_size=SIZE)
    names = tuple(f"k{i}" for i in range(KEYPOINTS))
    model = PoseNet(features, made, keypoint_names=names, image_size=SIZE, model_type=config.model_type)
    with torch.no_grad():
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.momentum = None
        model.train().get_representations(torch.from_numpy(smooth_frames(11)).permute(0, 3, 1, 2))
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(SHARPER[head])
        if head == "simcc":
            smooth_bins(made)
    return model.eval()


def smooth_bins(head):
    """Neighbouring bins alike, as after training: of two bins all but equal and far apart, rounding takes either."""
    kernel = torch.exp(-(torch.arange(-12, 13) ** 2) / 72)
    for layer in (head.read_x, head.read_y):
        rows = F.conv1d(layer.weight.T[:, None], (kernel / kernel.norm())[None, None], padding=12)
        layer.weight.copy_(rows[:, 0].T)


def smooth_frames(count):
    coarse = torch.rand(count, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    fine = F.interpolate(coarse, size=SIZE, mode="bicubic").clamp(0, 1) * 255
    return np.ascontiguousarray(fine.byte().permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize(("backbone", "head", "options"), NETWORKS)
def test_parity(backbone, head, options):
    from lp_infer.parity import exact, parity

    model, frames = network(backbone, head, options), smooth_frames(11)
    expected = exact(model, frames)
    assert np.std(expected[0], axis=0).max() > 1e-3 or options.get("predictor")  # it answers differently to each frame
    for name in ["torch", *FILES]:
        runtime = runtimes.make(name, device="cpu", threads=1, batch_size=BATCH).build(model)
        found = parity(runtime, expected, frames)
        print(f"{backbone} {head} {options}, {name}: {found}")
        assert 0 < max(found.largest, found.largest_unsure) < 0.01 and found.confidence < 1e-4


def test_what_groups_in_numpy_is_not_exported():
    from lp_core import Animals, ConfigError
    from lp_infer.to_onnx import to_onnx
    from lp_train import PoseNet

    animals = Animals(individuals=("a", "b"), parts=("nose", "tail"))
    features = backbones.make("resnet18", pretrained=False).build(SIZE)
    place = {"channels": features.channels, "stride": features.stride, "image_size": SIZE}
    head = heads.make("paf", hidden=8).build_animals(animals=animals, **place)
    model = PoseNet(features, head, keypoint_names=animals.keypoint_names, image_size=SIZE, model_type="paf")
    with pytest.raises(ConfigError, match=r"head=paf .* use runtime=torch"):
        to_onnx(model)
