"""A timm network cut down to one feature map."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class TimmBackbone(nn.Module):
    """The deepest feature map of a timm network, with parameter names `model.<timm's name>`.

    Three families differ: networks of timm's `EfficientNet` class end after the convolution before pooling, as in the
    reference (the last stage itself is a linear bottleneck); HRNet gives its branch of stride 4 after timm's channel
    increase (128 channels whatever the width); ViTs give the patch tokens after the final layer norm.

    Args:
        model: a timm network without classifier; layers behind the feature map are removed.
        norm: apply the network's final norm, if it has one for feature maps.
    """

    def __init__(self, model: nn.Module, *, norm: bool = True) -> None:
        super().__init__()
        self.model: Any = model
        self.norm, self.norm_frozen = norm, False
        self.indices: list[int] | None = None
        kind = type(model).__name__
        info = self.model.feature_info[1 if kind == "HighResolutionNet" else -1]
        self.stride, self.channels = int(info["reduction"]), int(info["num_chs"])
        if kind == "EfficientNet":
            self.channels = int(self.model.num_features)
        else:
            self.indices = self.model.prune_intermediate_layers([1] if kind == "HighResolutionNet" else 1)
            self.channels = int(info.get("num_chs_norm", self.channels)) if norm else self.channels
        if kind == "HighResolutionNet":  # the last fusion into the other branches feeds nothing
            self.model.stage4[-1].fuse_layers = self.model.stage4[-1].fuse_layers[:1]
        self.mean, self.std = (_triple(self.model.pretrained_cfg[key]) for key in ("mean", "std"))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels h w"]:
        """RGB, normalised with `mean` and `std` → features, one per `stride` × `stride` input pixels."""
        if self.indices is None:
            return self.model.forward_features(images)
        return self.model.forward_intermediates(
            images, indices=self.indices, norm=self.norm, output_fmt="NCHW", intermediates_only=True
        )[-1]

    def freeze_norm(self) -> None:
        """Fix statistics, scale and shift of every batch norm for good; scale and shift stop being parameters."""
        self.norm_frozen = True
        for norm in self._batch_norms():
            for name in ("weight", "bias"):
                if (value := norm._parameters.pop(name, None)) is not None:
                    norm.register_buffer(name, value.detach())
        self.train(self.training)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """As ever, but a frozen batch norm stays in evaluation mode."""
        super().train(mode)
        for norm in self._batch_norms() if self.norm_frozen else []:
            norm.eval()
        return self

    def _batch_norms(self) -> list[_BatchNorm]:
        return [m for m in self.modules() if isinstance(m, _BatchNorm)]


def _triple(values: Any) -> tuple[float, float, float]:
    r, g, b = map(float, values)
    return r, g, b
