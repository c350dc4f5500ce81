"""The layers of the head for several animals: a shared trunk, and stages that look at what the one before found."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from lp_core.tensors import Predictor, TargetGenerator
from torch import Tensor, nn

from lp_heads.heatmap import initialise, upsampling
from lp_heads.locref import RARE
from lp_heads.paf_targets import PAFLayout


class PAFShape(NamedTuple):
    """The size of the head.

    Attributes:
        upsamplings: see `HeatmapHead`.
        hidden: channels of the trunk and of each stage.
        stages: refinements after the first prediction.
        supervise_stages: give the predictions of all stages while training.
        logits: scores are logits.
    """

    upsamplings: int
    hidden: int
    stages: int
    supervise_stages: bool
    logits: bool


class PAFHead(nn.Module):
    """Score maps, offsets and fields from one trunk; each stage adds a correction to the scores and the fields.

    The idea of the stages is that of DLCRNet (Lauer et al., "Multi-animal pose estimation, identification and tracking with
    DeepLabCut", 2022), whose own, without norm or activation, make one linear map.
    """

    exportable = False  # its decoder groups in NumPy
    outputs: "Outputs"
    logits: bool
    target_generator: TargetGenerator
    predictor: Predictor

    def __init__(
        self, channels: int, layout: PAFLayout, shape: PAFShape, targets: TargetGenerator, predictor: Predictor
    ) -> None:
        super().__init__()
        self.shape = shape
        self.trunk = nn.Sequential(
            upsampling(channels, shape.hidden, shape.upsamplings, shape.hidden), *_finish(shape.hidden)
        )
        self.outputs = Outputs(shape.hidden, layout)
        self.locref = nn.Conv2d(shape.hidden, 2 * layout.points, 1)
        self.stages = nn.ModuleList(Stage(shape.hidden, layout) for _ in range(shape.stages))
        initialise(self.trunk, gain=1.0, last=1.0)
        initialise(self.locref, gain=1.0, last=0.01)
        self.logits = shape.logits
        if shape.logits:
            nn.init.constant_(self.outputs.scores.bias, RARE)  # pyright: ignore[reportArgumentType]
        self.target_generator, self.predictor = targets, predictor

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> dict[str, Tensor]:
        """Features → `scoremaps_pred`, `locref_pred`, `paf_pred`, all at the maps' size.

        While training with `supervise_stages` also `scoremaps_stages_pred`, `paf_stages_pred` (batch, stages, channels, H,
        W): what came before the last stage.
        """
        hidden = self.trunk(features)
        found = [self.outputs(hidden)]
        for stage in self.stages:
            found.append(stage(hidden, *found[-1]))
        scores, fields = found[-1]
        maps = {"scoremaps_pred": scores, "locref_pred": self.locref(hidden), "paf_pred": fields}
        if self.training and self.shape.supervise_stages and self.stages:
            maps["scoremaps_stages_pred"] = torch.stack([earlier[0] for earlier in found[:-1]], dim=1)
            maps["paf_stages_pred"] = torch.stack([earlier[1] for earlier in found[:-1]], dim=1)
        return maps


class Outputs(nn.Module):
    """Hidden channels → scores and fields, small at first."""

    def __init__(self, hidden: int, layout: PAFLayout) -> None:
        super().__init__()
        self.scores, self.fields = nn.Conv2d(hidden, layout.scores, 1), nn.Conv2d(hidden, 2 * len(layout.edges), 1)
        for layer in (self.scores, self.fields):
            initialise(layer, gain=1.0, last=0.01)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Score maps, fields."""
        return self.scores(hidden), self.fields(hidden)


class Stage(nn.Module):
    """What an earlier stage found, corrected by what its neighbourhood says."""

    outputs: Outputs

    def __init__(self, hidden: int, layout: PAFLayout) -> None:
        super().__init__()
        seen = hidden + layout.scores + 2 * len(layout.edges)
        self.mix = nn.Sequential(
            nn.Conv2d(seen, hidden, 3, padding=1), *_finish(hidden),
            nn.Conv2d(hidden, hidden, 3, padding=1), *_finish(hidden),
        )  # fmt: skip
        initialise(self.mix, gain=1.0, last=1.0)
        self.outputs = Outputs(hidden, layout)

    def forward(self, hidden: Tensor, scores: Tensor, fields: Tensor) -> tuple[Tensor, Tensor]:
        """The trunk's channels and earlier score maps and fields → better ones."""
        more_scores, more_fields = self.outputs(self.mix(torch.cat([hidden, scores, fields], dim=1)))
        return scores + more_scores, fields + more_fields


def _finish(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
