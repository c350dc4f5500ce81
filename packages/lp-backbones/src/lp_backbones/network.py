"""A timm network cut down to one feature map."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class TimmBackbone(nn.Module):
    """One feature map of a timm network, with parameter names `model.<timm's name>`.

    The deepest, but networks of timm's `EfficientNet` class end after the convolution before pooling, as in the reference
    (the last stage itself is a linear bottleneck), and ViTs give the patch tokens after the final layer norm.

    Args:
        model: a timm network without classifier; layers behind the feature map are removed.
        norm: apply the network's final norm, if it has one for feature maps.
        level: which of timm's levels of features; -1 is the deepest.

    Attributes:
        divisor: the sides of images must be multiples of it.
    """

    norm: bool
    frozen_statistics: bool
    stride: int
    channels: int
    divisor: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __init__(self, model: nn.Module, *, norm: bool = True, level: int = -1) -> None:
        super().__init__()
        self.model: Any = model
        self.norm, self.frozen_statistics = norm, False
        self.indices: list[int] | None = None
        info = self.model.feature_info[level]
        self.stride, self.channels = int(info["reduction"]), int(info["num_chs"])
        self.divisor = self.stride
        if type(model).__name__ == "EfficientNet":
            self.channels = int(self.model.num_features)
        else:
            self.indices = self.model.prune_intermediate_layers(1 if level == -1 else [level])
            self.channels = int(info.get("num_chs_norm", self.channels)) if norm else self.channels
        self.mean, self.std = (_triple(self.model.pretrained_cfg[key]) for key in ("mean", "std"))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised with `mean` and `std` → features, one per `stride` × `stride` input pixels."""
        if self.indices is None:
            return self.model.forward_features(images)
        return self.model.forward_intermediates(
            images, indices=self.indices, norm=self.norm, output_fmt="NCHW", intermediates_only=True
        )[-1]

    def freeze_norm(self, *, statistics: bool = True, weights: bool = True) -> None:
        """Fix what timm's batch norms know, for good; layers that timm's network does not have stay as they are.

        Args:
            statistics: mean and variance: the norm stays in evaluation mode.
            weights: scale and shift: they stop being parameters.
        """
        self.frozen_statistics = self.frozen_statistics or statistics
        for norm in self._batch_norms() if weights else []:
            for name in ("weight", "bias"):
                if (value := norm._parameters.pop(name, None)) is not None:
                    norm.register_buffer(name, value.detach())
        self.train(self.training)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """As ever, but a batch norm with frozen statistics stays in evaluation mode."""
        super().train(mode)
        for norm in self._batch_norms() if self.frozen_statistics else []:
            norm.eval()
        return self

    def _batch_norms(self) -> list[_BatchNorm]:
        return [m for m in self.model.modules() if isinstance(m, _BatchNorm)]


def _triple(values: Any) -> tuple[float, float, float]:
    r, g, b = map(float, values)
    return r, g, b
