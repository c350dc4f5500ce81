"""torchvision's detectors with our interface: uint8 frames in, boxes of one class out, no resizing on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Shaped, UInt8
from lp_core import ConfigError
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork

from lp_detectors.boxes import best

HALF = 0.5  # torchvision's first pixel covers [0, 1], ours [-0.5, 0.5]
THINNEST = 1.0  # px; torchvision refuses true boxes without area
SEED = 0  # of the proposals that are drawn for the loss in evaluation


class AsTheyAre(nn.Module):
    """In place of torchvision's resizing: normalise a batch, and pad it at the right and below.

    Args:
        mean, std: of RGB in 0–1.
        multiple: of which the padded sides are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float], multiple: int) -> None:
        super().__init__()
        self.multiple = multiple
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Shaped[Tensor, "batch 3 height width"], targets: Any = None) -> tuple[ImageList, Any]:
        """RGB in 0–255 → what torchvision's networks go on with."""
        height, width = images.shape[-2:]
        padded = nn.functional.pad(
            (images - self.mean) / self.std, (0, -width % self.multiple, 0, -height % self.multiple)
        )
        return ImageList(padded, [(height, width)] * len(images)), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Nothing to undo."""
        return result


class TorchvisionDetector(nn.Module):
    """A torchvision detector of one class; see `lp_core.tensors.Detector`.

    Args:
        model: one of torchvision's, with two classes; its resizing is taken out.
        animals: boxes per frame, at most.
        freeze_norm: batch norm stays in evaluation mode, and its scale and shift are not trained.
    """

    animals: int
    norm_frozen: bool

    def __init__(self, model: Any, animals: int, *, freeze_norm: bool) -> None:
        super().__init__()
        old = model.transform
        model.transform = AsTheyAre(old.image_mean, old.image_std, old.size_divisible)
        self.model: Any = model
        self.animals, self.norm_frozen = animals, freeze_norm
        for norm in self._norms() if freeze_norm else []:
            norm.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "TorchvisionDetector":
        """As ever, but a frozen batch norm stays in evaluation mode."""
        super().train(mode)
        for norm in self._norms() if self.norm_frozen else []:
            norm.eval()
        return self

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch animals 4"], Float[Tensor, "batch animals"]]:
        """RGB frames → boxes in input pixels, best first, and scores; NaN and 0 where fewer were found."""
        with _steered(self.model, training=False):
            found = self.chosen(self.model(images))
        boxes = nn.utils.rnn.pad_sequence([f["boxes"] for f in found], batch_first=True).float()
        scores = nn.utils.rnn.pad_sequence([f["scores"] for f in found], batch_first=True).float()
        return best(boxes - HALF, scores, self.animals)

    def chosen(self, found: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """What of torchvision's findings, frame by frame, counts."""
        return found

    def loss(
        self, images: Float[Tensor, "batch 3 height width"], boxes: Float[Tensor, "batch animals 4"]
    ) -> Float[Tensor, ""]:
        """RGB in 0–255 and the true boxes (NaN = none) → the sum of torchvision's losses.

        In evaluation batch norm and dropout are as at prediction, and the proposals drawn are the same at every call.
        """
        height, width = images.shape[-2:]
        edges = boxes.new_tensor([width, height, width, height])
        inside = (boxes + HALF).clamp_min(0).minimum(edges)
        kept = ((inside[..., 2:] - inside[..., :2]) >= THINNEST).all(-1)  # NaN is not
        targets = [
            {"boxes": b[k], "labels": torch.ones(len(b[k]), dtype=torch.int64, device=b.device)}
            for b, k in zip(inside, kept, strict=True)
        ]
        with _steered(self.model, training=True), _repeatable(not self.training, images.device):
            return torch.stack(list(self.model(images, targets).values())).sum()

    def _norms(self) -> list[_BatchNorm]:
        return [m for m in self.modules() if isinstance(m, _BatchNorm)]


class KindsDetector(TorchvisionDetector):
    """A torchvision detector of all COCO classes as it is: boxes of some kinds count, nothing is trained.

    Args:
        model: one of torchvision's, with COCO's classes.
        kinds: numbers of the classes.
        animals: boxes per frame, at most.
        started: the model has COCO's weights already; else it must be given them before anything is trained beside it.
    """

    def __init__(self, model: Any, kinds: list[int], animals: int, *, started: bool) -> None:
        super().__init__(model, animals, freeze_norm=True)
        self.kinds, self.started = kinds, started
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "KindsDetector":
        """Stays as at prediction."""
        super().train(False)
        return self

    def chosen(self, found: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Boxes of the kinds."""
        kinds = torch.tensor(self.kinds)
        kept = [torch.isin(f["labels"], kinds.to(f["labels"].device)) for f in found]
        return [
            {"boxes": f["boxes"][k], "scores": f["scores"][k], "labels": f["labels"][k]}
            for f, k in zip(found, kept, strict=True)
        ]

    def loss(
        self, images: Float[Tensor, "batch 3 height width"], boxes: Float[Tensor, "batch animals 4"]
    ) -> Float[Tensor, ""]:
        """Nothing is learned: 0.

        Raises:
            ConfigError: it has no weights that could have learned anything before.
        """
        if not self.started:
            raise ConfigError(
                "detector.kinds takes the detector as COCO's weights have it; leave out detector.pretrained=false, or set "
                "detector.weights=FILE."
            )
        return images.new_zeros(())


@contextmanager
def _steered(model: nn.Module, *, training: bool) -> Iterator[None]:
    """torchvision gives losses or boxes as these modules are in training or not; the layers within keep their mode."""
    parts = [m for m in model.modules() if m is model or isinstance(m, RegionProposalNetwork | RoIHeads)]
    before = [m.training for m in parts]
    try:
        for part in parts:
            part.training = training
        yield
    finally:
        for part, mode in zip(parts, before, strict=True):
            part.training = mode


@contextmanager
def _repeatable(on: bool, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else [], enabled=on):
        if on:
            torch.manual_seed(SEED)
        yield
