"""The network of a run: normalisation, backbone, head and decoder in one module. No Lightning here."""

from typing import cast

import torch
from jaxtyping import Float, Int, UInt8
from lp_core import Animals, Size
from lp_core.tensors import Backbone, Head, LabeledBatch, PoseModel
from lp_detectors.conditional import GivenConditions
from torch import Tensor, nn


class PoseNet(nn.Module):
    """A backbone and a head, from uint8 frames to keypoints: what runtimes run (`lp_core.tensors.PoseModel`).

    Args:
        backbone: gives features.
        head: gives outputs, with its target generator and predictor.
        keypoint_names: in the order of the outputs; `<animal>/<part>` where there are several.
        image_size: (height, width) of the input in pixels.
        model_type: the reference's name of the kind of model, `heatmap` for instance.

    Attributes:
        animals: how the keypoints are divided, where there are several animals.
        context: frames before and after each one that the head looks at.
    """

    def __init__(
        self, backbone: Backbone, head: Head, *, keypoint_names: tuple[str, ...], image_size: Size, model_type: str
    ) -> None:
        super().__init__()
        self.backbone = cast(nn.Module, backbone)
        self.head = cast(nn.Module, head)
        self.head.keep_float32 = True  # pyright: ignore  # lp_infer leaves it alone; see `outputs`
        self.keypoint_names, self.image_size, self.model_type = keypoint_names, image_size, model_type
        self.animals = Animals.of(keypoint_names)
        self.context: int = getattr(head, "context", 0)
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Float[Tensor, "batch 3 height width"]:
        """RGB in 0–255, any type → what the backbone's weights expect, channels last."""
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def get_representations(
        self, images: Tensor, conditions: Float[Tensor, "batch keypoints 2"] | None = None
    ) -> Float[Tensor, "batch channels h w"]:
        """RGB in 0–255 at input size, for a conditional backbone keypoints in input pixels (NaN = none) → feature maps."""
        told = () if conditions is None else (conditions,)
        return self.backbone(self.normalise(images), *told)

    def outputs(
        self, features: Float[Tensor, "frames channels h w"], windows: Int[Tensor, "outputs window"] | None = None
    ) -> dict[str, Tensor]:
        """Feature maps → the head's outputs, always in float32: small, and what losses and decoding are sensitive to.

        Args:
            windows: for heads that look at several frames, the rows of `features` for each output; consecutive frames
                of a video if not given.
        """
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.float(), windows) if self.context else self.head(features.float())

    def windows(self, frames: int, videos: int, device: torch.device) -> Int[Tensor, "frames window"]:
        """For `frames` rows of features that are `videos` videos of equal length, one after the other."""
        length = frames // videos
        offsets = torch.arange(-self.context, self.context + 1, device=device)
        own = (torch.arange(length, device=device)[:, None] + offsets).clamp(0, length - 1)
        return torch.cat([own + video * length for video in range(videos)])

    def decode(
        self, features: Float[Tensor, "frames channels h w"], windows: Int[Tensor, "outputs window"] | None = None
    ) -> tuple[Float[Tensor, "outputs keypoints 2"], Float[Tensor, "outputs keypoints"]]:
        """Feature maps → keypoints in input pixels, confidence in 0–1."""
        outputs = self.outputs(features, windows)
        with torch.autocast(features.device.type, enabled=False):
            return self.head.predictor(outputs)

    def predict(
        self, batch: LabeledBatch
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Labeled frames, with the frames round them where the head needs them → keypoints in input pixels, confidence."""
        if batch.windows is None:
            return self.decode(self.get_representations(batch.images))
        rows = separate_windows(*batch.windows.shape[:2], device=batch.windows.device)
        return self.decode(self.get_representations(batch.windows.flatten(0, 1)), rows)

    def forward(
        self,
        images: UInt8[Tensor, "batch 3 height width"],
        conditions: Float[Tensor, "batch keypoints 2"] | None = None,
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Frames at input size → keypoints in input pixels, confidence in 0–1.

        For heads that look at several frames these are consecutive frames of one video.

        Args:
            conditions: what a conditional backbone is told, in input pixels.
        """
        return self.decode(self.get_representations(images, conditions))


def separate_windows(count: int, length: int, device: torch.device) -> Int[Tensor, "{count} {length}"]:
    """Rows of `count` windows of `length` frames that lie one after the other."""
    return torch.arange(count * length, device=device).view(count, length)


def predict(
    net: PoseModel, batch: LabeledBatch
) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
    """Labeled frames → keypoints in input pixels, confidence; with the frames round them if the network can use them."""
    return net.predict(batch) if isinstance(net, PoseNet | GivenConditions) else net(batch.images)
