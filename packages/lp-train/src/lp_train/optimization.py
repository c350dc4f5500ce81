"""Optimizers and learning-rate schedules."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from lp_train.config import TrainingConfig

BACKBONE_START, BACKBONE_GROWTH = 0.1, 1.5  # the reference's: a tenth of the head's rate, half as much again each epoch
WARMUP_START = 0.001  # of the rate: RTMPose's
EPOCHS = 300  # of the reference: the growth is per three hundredth of the training


def make_optimizer(
    backbone: Iterable[nn.Parameter], head: Iterable[nn.Parameter], config: TrainingConfig
) -> torch.optim.Optimizer:
    """Adam or AdamW with the parameter groups backbone and head, in this order."""
    groups = [{"params": list(backbone), "name": "backbone"}, {"params": list(head), "name": "head"}]
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    fused = groups[1]["params"][0].device.type in ("cpu", "cuda")  # one pass over memory per parameter
    return kind(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Factors of the learning rate per epoch.

    Attributes:
        unfreezing_epoch: the backbone is frozen before this epoch, then starts at a tenth of the head's rate and
            gains half as much again each 300th of the training until it equals it. 0: no freezing, no ramp.
        pretrained: the backbone has statistics to normalise with; a frozen one of random weights must go on gathering them.
    """

    config: TrainingConfig
    unfreezing_epoch: int
    pretrained: bool = True

    def frozen(self, epoch: int) -> bool:
        """Whether the backbone is frozen in `epoch`."""
        return epoch < self.unfreezing_epoch

    def head(self, epoch: int) -> float:
        """Factor of the head's rate (plateau's own factor is kept by the tracker)."""
        share = min(epoch / self.config.warmup_epochs, 1.0) if self.config.warmup_epochs else 1.0
        return (WARMUP_START + (1 - WARMUP_START) * share) * self._without_warmup(epoch)

    def _without_warmup(self, epoch: int) -> float:
        options = self.config
        if options.schedule == "multistep":
            return options.gamma ** sum(epoch >= int(m * options.max_epochs) for m in options.milestones)
        if options.schedule == "steps":
            passed = sum(epoch >= first for first in options.rate_epochs or [])
            return [options.learning_rate, *(options.rates or [])][passed] / options.learning_rate
        if options.schedule == "cosine":
            first, final = options.cosine_from_epoch, options.final_rate / options.learning_rate
            progress = min(max(epoch - first, 0) / max(options.max_epochs - first, 1), 1.0)
            return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
        return 1.0

    def backbone(self, epoch: int) -> float:
        """Factor of the backbone's rate."""
        if self.frozen(epoch):
            return 0.0
        ramp = 1.0
        if self.unfreezing_epoch:
            since = (epoch - self.unfreezing_epoch) * EPOCHS / self.config.max_epochs
            ramp = min(1.0, BACKBONE_START * BACKBONE_GROWTH**since)
        return ramp * self.head(epoch)
