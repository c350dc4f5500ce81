"""Model directories of DeepLabCut's PyTorch engine: one animal, heatmaps with location refinement."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from jaxtyping import Float, UInt8
from lp_core import ConfigError, Resize, Size
from lp_core.tensors import Head, LabeledBatch
from lp_heads.compat_deeplabcut import LOCREF_STD, Deconvolution, LocationRefinementHead
from torch import Tensor
from torch.nn import functional as F

from lp_train.foreign.checkpoint import read_state
from lp_train.foreign.deeplabcut_backbones import build_backbone, needed
from lp_train.foreign.renaming import Rules, load_into, renamed
from lp_train.network import PoseNet

CONFIG = "pytorch_config.yaml"
NOMINAL_SIZE = (448, 448)  # the engine's training crop; the network runs at any size
HEADS: Rules = ((r"heads\.bodypart\.(.*)", r"head.\1"),)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANGES = {"normalize_images": IMAGENET, "scale_to_unit_range": ((0.0,) * 3, (1.0,) * 3)}  # mean and std of 0–1
UNSCALED = (0.0,) * 3, (1 / 255,) * 3


@dataclass(frozen=True, slots=True)
class Pixels:
    """What happens to a frame before the network.

    Attributes:
        mean, std: normalisation of values in 0–1.
        divisor: (height, width) of the input become multiples of these by reflection at the border.
        position: where the frame lies in the padded input, in the engine's words; `random` is taken as the centre.
        bgr: channels are swapped.
        size: (height, width) that frames are stretched to before; None = they keep their own.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    divisor: Size = (1, 1)
    position: str = "random"
    bgr: bool = False
    size: Size | None = None

    def margins(self, size: Size) -> tuple[int, int, int, int]:
        """Pixels to add (left, right, top, bottom)."""
        rows, columns = (-side % by for side, by in zip(size, self.divisor, strict=True))
        top = {"top": 0, "bottom": rows}.get(self.position.partition("_")[0], rows // 2)
        left = {"left": 0, "right": columns}.get(self.position.partition("_")[2], columns // 2)
        return left, columns - left, top, rows - top


class DeepLabCutNet(PoseNet):
    """A network of DeepLabCut, with its decoder and its pixels.

    Attributes:
        any_size: it looks at frames at their own size, and `image_size` is only an example of one.
        corner_pixels: how input pixels of stretched frames become pixels of the original, see `lp_core.Resize`.
    """

    def __init__(self, backbone: Any, head: LocationRefinementHead, names: tuple[str, ...], pixels: Pixels) -> None:
        backbone.mean, backbone.std = pixels.mean, pixels.std
        size = pixels.size or NOMINAL_SIZE
        super().__init__(backbone, cast(Head, head), keypoint_names=names, image_size=size, model_type="deeplabcut")
        self.pixels, self.any_size, self.corner_pixels = pixels, pixels.size is None, pixels.size is not None

    def resize(self, original: Size) -> Resize:
        """From pixels of a frame to those of the input."""
        return Resize(original, self.pixels.size or original, self.corner_pixels)

    def normalise(self, images: Tensor) -> Float[Tensor, "batch 3 height width"]:
        """RGB in 0–255, any type → what the network was trained on, sides padded to what it can take."""
        scaled = super().normalise(images.flip(1) if self.pixels.bgr else images)
        margins = self.pixels.margins((images.shape[-2], images.shape[-1]))
        return F.pad(scaled, margins, mode="reflect") if any(margins) else scaled

    def predict(
        self, batch: LabeledBatch
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Labeled frames → keypoints in input pixels, confidence."""
        return self(batch.images)

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Frames of any size → keypoints in input pixels, confidence in 0–1."""
        keypoints, confidence = super().forward(images)
        left, _, top, _ = self.pixels.margins((images.shape[-2], images.shape[-1]))
        return keypoints - keypoints.new_tensor([left, top]), confidence


def recognises(path: Path) -> bool:
    """Whether `path` is a directory of a trained model of DeepLabCut, one above it, or a whole project."""
    return bool(_configs(path))


def load(path: Path, checkpoint: Path | None = None) -> DeepLabCutNet:
    """See `load_foreign`."""
    found = _configs(path)
    if len(found) > 1:
        choices = ", ".join(str(config.parent.relative_to(path)) for config in found)
        raise ConfigError(f"{path} holds {len(found)} trained models; give one of {choices} as run.")
    file = checkpoint or best_snapshot(found[0].parent)
    net = build(found[0])
    load_into(net, translated(read_state(file, "model"), net), file)
    return net.eval()


def build(config: Path) -> DeepLabCutNet:
    """The network that a `pytorch_config.yaml` describes, with random weights.

    Raises:
        ConfigError: a kind of model that does not run here.
    """
    values = _values(config)
    model, metadata = values.get("model") or {}, values.get("metadata") or {}
    head = _single_animal_head(values, config)
    names = tuple(map(str, metadata.get("bodyparts") or ()))
    backbone = build_backbone(model.get("backbone") or {}, config)
    net = DeepLabCutNet(backbone, _head(head, backbone.stride), names, read_pixels(values, config))
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def translated(state: Mapping[str, Tensor], net: DeepLabCutNet) -> dict[str, Tensor]:
    """A snapshot's tensors under our names, without those that nothing depends on."""
    return needed(renamed(state, HEADS), net)


def best_snapshot(folder: Path) -> Path:
    """The one that DeepLabCut would use: the best if there is one, else that of the most epochs.

    Raises:
        ConfigError: there is none.
    """

    def rank(path: Path) -> tuple[bool, int]:
        return "-best-" in path.name, int(match.group(1)) if (match := re.search(r"(\d+)\.pt$", path.name)) else -1

    found = [p for p in folder.glob("snapshot-*.pt") if not p.name.startswith("snapshot-detector")]
    if not found:
        raise ConfigError(f"{folder} holds no snapshot (snapshot-*.pt); train it first, or give checkpoint=FILE.")
    return max(found, key=rank)


def read_pixels(values: Mapping[str, Any], config: Path) -> Pixels:
    """What `data` of a configuration says about the network's input.

    Raises:
        ConfigError: frames would have to be changed in a way that is not known here.
    """
    data = values.get("data") or {}
    steps = {key: value for key, value in (data.get("inference") or {}).items() if value not in (None, False)}
    padding = steps.pop("auto_padding", None) or {}
    size = _stretched(steps.pop("resize", None) or {}, config)
    scaling = [RANGES[name] for name in RANGES if steps.pop(name, False)]
    odd = [*steps, *(set(padding) & {"min_height", "min_width"} - {k for k, v in padding.items() if v is None})]
    if odd or len(scaling) > 1 or padding.get("border_mode", "reflect_101") != "reflect_101":
        raise ConfigError(f"{config}: data.inference asks for {', '.join(odd) or 'scaling'}, which does not run here.")
    mean, std = scaling[0] if scaling else UNSCALED
    return Pixels(
        mean,
        std,
        divisor=(int(padding.get("pad_height_divisor") or 1), int(padding.get("pad_width_divisor") or 1)),
        position=str(padding.get("position") or "random"),
        bgr=data.get("colormode") == "BGR",
        size=size,
    )


def _stretched(resize: Mapping[str, Any], config: Path) -> Size | None:
    """(height, width) that frames are brought to, whatever their aspect ratio."""
    if not resize:
        return None
    if resize.get("keep_ratio", True) or not (resize.get("height") and resize.get("width")):
        raise ConfigError(
            f"{config}: data.inference asks for resize that keeps the aspect ratio, which does not run here; "
            "height and width with keep_ratio: false do, and so does no resize."
        )
    return int(resize["height"]), int(resize["width"])


def _single_animal_head(values: Mapping[str, Any], config: Path) -> Mapping[str, Any]:
    metadata, method = values.get("metadata") or {}, str(values.get("method", "bu")).lower()
    heads = (values.get("model") or {}).get("heads") or {}
    head = heads.get("bodypart") or {}
    kind = head.get("type")
    if method != "bu" or len(metadata.get("individuals") or [0]) > 1 or set(heads) != {"bodypart"}:
        raise ConfigError(
            f"{config} describes a model for several animals or for crops (method {method}, heads {', '.join(heads)}); "
            "models of one animal on whole frames run here."
        )
    predictor = (head.get("predictor") or {}).get("type")
    if kind != "HeatmapHead" or predictor != "HeatmapPredictor" or (values.get("model") or {}).get("neck"):
        raise ConfigError(
            f"{config} has a head {kind} with {predictor}, which does not run here yet; HeatmapHead does."
        )
    return head


def _head(head: Mapping[str, Any], stride: int) -> LocationRefinementHead:
    predictor = head["predictor"]
    heatmap = _deconvolution(head["heatmap_config"])
    refines = predictor.get("location_refinement", True) and head.get("locref_config")
    return LocationRefinementHead(
        heatmap,
        _deconvolution(head["locref_config"]) if refines else None,
        stride / heatmap.stride,
        sigmoid=predictor.get("apply_sigmoid", True),
        clip=predictor.get("clip_scores", False),
        std=predictor.get("locref_std", LOCREF_STD),
    )


def _deconvolution(values: Mapping[str, Any]) -> Deconvolution:
    final = values.get("final_conv")
    return Deconvolution(
        channels=values["channels"],
        kernels=values["kernel_size"],
        strides=values["strides"],
        final=(final["out_channels"], final["kernel_size"]) if final else None,
    )


def _configs(path: Path) -> list[Path]:
    here = [p for p in (path / CONFIG, path / "train" / CONFIG) if p.is_file()]
    return here[:1] or sorted(path.glob(f"dlc-models-pytorch/iteration-*/*/train/{CONFIG}"))


def _values(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise ConfigError(f"{path} is not valid YAML: {str(e).splitlines()[0]}.") from e
    return values if isinstance(values, Mapping) else {}
