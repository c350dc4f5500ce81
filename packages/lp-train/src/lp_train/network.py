"""The network of a run: normalisation, backbone, head and decoder in one module. No Lightning here."""

from typing import cast

import torch
from jaxtyping import Float, UInt8
from lp_core import Size
from lp_core.tensors import Backbone, Head
from torch import Tensor, nn


class PoseNet(nn.Module):
    """A backbone and a head, from uint8 frames to keypoints: what runtimes run (`lp_core.tensors.PoseModel`).

    Args:
        backbone: gives features.
        head: gives outputs, with its target generator and predictor.
        keypoint_names: in the order of the outputs.
        image_size: (height, width) of the input in pixels.
        model_type: the reference's name of the kind of model, `heatmap` for instance.
    """

    def __init__(
        self, backbone: Backbone, head: Head, *, keypoint_names: tuple[str, ...], image_size: Size, model_type: str
    ) -> None:
        super().__init__()
        self.backbone = cast(nn.Module, backbone)
        self.head = cast(nn.Module, head)
        self.head.keep_float32 = True  # pyright: ignore  # lp_infer leaves it alone; see `outputs`
        self.keypoint_names, self.image_size, self.model_type = keypoint_names, image_size, model_type
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Float[Tensor, "batch 3 height width"]:
        """RGB in 0–255, any type → what the backbone's weights expect, channels last."""
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def get_representations(self, images: Tensor) -> Float[Tensor, "batch channels h w"]:
        """RGB in 0–255 at input size → feature maps."""
        return self.backbone(self.normalise(images))

    def outputs(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Feature maps → the head's outputs, always in float32: small, and what losses and decoding are sensitive to."""
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.float())

    def forward(
        self, images: UInt8[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch keypoints 2"], Float[Tensor, "batch keypoints"]]:
        """Frames at input size → keypoints in input pixels, confidence in 0–1."""
        outputs = self.outputs(self.get_representations(images))
        with torch.autocast(images.device.type, enabled=False):
            return self.head.predictor(outputs)
