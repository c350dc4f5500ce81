"""What a network learns from frames without labels."""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from lp_core import ConfigError
from lp_core.tensors import Augmentation, Clip, Loss
from lp_data.augmentation.geometry import apply, invert
from lp_detectors.top_down import TopDownNet
from lp_losses import LossFactory
from lp_losses.pseudo_boxes import PseudoBoxes
from torch import Tensor, nn

from lp_train.cameras import joined
from lp_train.certain import Certain, Limits, certain_animals
from lp_train.config import AnnealConfig
from lp_train.network import PoseNet
from lp_train.normalisation import as_at_prediction

TEACHER_KEYS = frozenset({"heatmaps_teacher", "confidences_teacher"})
DETECTOR_KEYS = frozenset({"detection_pred"})
FREEZE_SHARE, GROWTH = 0.2, 3.0  # the reference's epoch 60 and 0.01 per epoch, for its 300 epochs


def original_keypoints(
    keypoints: Float[Tensor, "batch keypoints 2"], original_size: Int[Tensor, "batch 2"], image_size: tuple[int, int]
) -> Float[Tensor, "batch keypoints 2"]:
    """Input pixels → original pixels, where each image of the batch had its own (height, width)."""
    target = torch.tensor(image_size, device=keypoints.device, dtype=keypoints.dtype)
    scale = (original_size.to(keypoints.dtype) / target).flip(-1)[:, None]  # (x, y)
    return keypoints * scale + (scale - 1) / 2


def with_heatmaps(net: PoseNet, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The outputs, and score maps of several animals also as maps with values from 0 to 1, which losses on maps ask for."""
    scores = outputs.get("scoremaps_pred")
    if scores is None or "heatmaps_pred" in outputs:
        return outputs
    return {**outputs, "heatmaps_pred": scores.sigmoid() if getattr(net.head, "logits", False) else scores}


def target_maps(targets: Mapping[str, Tensor]) -> Tensor:
    """The maps that a head's target generator makes of keypoints."""
    return targets["heatmaps_targ" if "heatmaps_targ" in targets else "scoremaps_targ"]


@dataclass(frozen=True, slots=True)
class Anneal:
    """The factor of all unsupervised losses per epoch: zero at first, then growing in a straight line. No state: a
    resumed run has the factor of its epoch.

    Attributes:
        scale: of the head's own loss. Losses that are a network's own objective have it already, and go without.
    """

    freeze_until_epoch: int
    increase_factor: float
    final_val: float
    scale: float = 1.0

    @classmethod
    def of(cls, config: AnnealConfig, max_epochs: int, scale: float = 1.0) -> "Anneal":
        """As configured, times `scale`; what is left open in proportion to the number of epochs."""
        freeze, growth = config.freeze_until_epoch, config.increase_factor
        return cls(
            round(FREEZE_SHARE * max_epochs) if freeze is None else freeze,
            GROWTH / max_epochs if growth is None else growth,
            config.final_val,
            scale,
        )

    def __call__(self, epoch: int) -> float:
        """The factor in `epoch`."""
        return self.scale * min(max(epoch - self.freeze_until_epoch, 0) * self.increase_factor, self.final_val)


class Unsupervised(nn.Module):
    """The losses that use no labels, and the teacher that some of them learn from.

    Args:
        losses: by name; may be empty.
        teacher_decay: of the running mean of the weights that is the teacher, per step.
        cameras: that filmed the same moments; frames then come one camera's after the other's.

    Attributes:
        plain: the losses that look at the network's own outputs.
        taught: those that learn from the teacher.
        detection: that of the detector, by what the teacher is sure of.
    """

    def __init__(
        self, net: PoseNet, losses: Mapping[str, Loss], anneal: Anneal, *, teacher_decay: float, cameras: int = 1
    ) -> None:
        super().__init__()
        self.cameras = cameras
        self.taught = LossFactory({n: loss for n, loss in losses.items() if TEACHER_KEYS & loss.needs})
        self.detection = LossFactory({n: loss for n, loss in losses.items() if DETECTOR_KEYS & loss.needs})
        others = self.taught.losses.keys() | self.detection.losses.keys()
        self.plain = LossFactory({n: loss for n, loss in losses.items() if n not in others})
        self.anneal, self.teacher_decay = anneal, teacher_decay
        self.teacher = copy.deepcopy(net).requires_grad_(False).eval() if others else None

    @property
    def uses_video(self) -> bool:
        """Whether any loss learns from unlabeled frames."""
        return self.wants_clips or bool(self.detection.losses)

    @property
    def wants_clips(self) -> bool:
        """Whether any loss is on what the network of the keypoints says of unlabeled frames."""
        return "unlabeled" in self.plain.streams | self.taught.streams

    def check(self, net: PoseNet, produced: Collection[str], *, maps: bool, detector: bool = False) -> None:
        """Raise `ConfigError` if a loss needs what is not `produced`.

        Args:
            maps: whether the head has target maps.
            detector: whether one is trained beside the network.
        """
        if self.detection.losses and not detector:
            raise ConfigError(
                f"losses.{next(iter(self.detection.losses))} teaches a detector, and here is none that learns; it is for "
                "labels of several animals, a head for one, as head=heatmap, and a detector without kinds."
            )
        available = {*produced, "keypoints_pred_augmented", "valid"}
        self.plain.check(available | ({"heatmaps_unimodal"} if maps else set()))
        self.taught.check(available | (TEACHER_KEYS if maps else set()))
        if net.context and self.taught.losses:
            raise ConfigError(
                f"losses.{next(iter(self.taught.losses))} changes every frame on its own, but head={net.model_type} looks at "
                "several together; use head=heatmap."
            )

    def train(self, mode: bool = True) -> "Unsupervised":
        """The teacher never trains."""
        super().train(mode)
        if self.teacher:
            self.teacher.eval()
        return self

    @torch.no_grad()
    def follow(self, net: PoseNet, step: int) -> None:
        """Move the teacher towards the student; faster in the first steps (Tarvainen and Valpola, 2017, appendix B)."""
        if self.teacher is None:
            return
        keep = min(self.teacher_decay, 1 - 1 / (step + 2))
        for mine, theirs in zip(self.teacher.state_dict().values(), net.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs.to(mine.dtype), 1 - keep)
            else:
                mine.copy_(theirs)

    def certain(self, net: TopDownNet, clip: Clip) -> Certain:
        """The animals of a clip that the teacher is sure of, in boxes of the detector."""
        assert self.teacher is not None
        loss = cast(PseudoBoxes, next(iter(self.detection.losses.values())))
        return certain_animals(net, self.teacher, clip, Limits(loss.prob_threshold, loss.empty_threshold))

    def inputs(
        self,
        net: PoseNet,
        outputs: dict[str, Tensor],
        transforms: Float[Tensor, "frames 2 3"],
        original_size: Int[Tensor, "frames 2"],
        valid: Bool[Tensor, " frames"],
    ) -> dict[str, Tensor]:
        """What losses may ask for. `keypoints_pred` is in original pixels with the augmentation undone,
        `keypoints_pred_augmented` and the maps are in augmented input space. Of several cameras, the keypoints of all come
        one after the other, and there is a row per moment.
        """
        augmented, confidences = net.head.predictor(outputs)
        outputs = with_heatmaps(net, outputs)
        plain = apply(invert(transforms.cpu()).to(augmented), augmented)
        found = {
            **outputs,
            "keypoints_pred": original_keypoints(plain, original_size, net.image_size),
            "keypoints_pred_augmented": augmented,
            "confidences": confidences,
            "valid": valid,
        }
        if "heatmaps_unimodal" in self.plain.needs:
            shown = torch.full(augmented.shape[:2], 2, device=augmented.device)
            targets = net.head.target_generator(augmented.detach(), shown)
            found["heatmaps_unimodal"] = target_maps(targets)
        return {key: joined(value, self.cameras) for key, value in found.items()} if self.cameras > 1 else found

    def lesson(
        self, net: PoseNet, clip: Clip, augmentation: Augmentation, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What losses that learn from the teacher ask for: it sees the clip as it is, the student sees each frame
        changed once more by the augmentation of labeled frames, which carries the teacher's keypoints along.
        """
        assert self.teacher is not None
        with torch.no_grad():
            points, sure = self.teacher(clip.images)
            shown = torch.full(points.shape[:2], 2, device=points.device)
            changed = augmentation(clip.images, points, shown, generator)
            targets = net.head.target_generator(changed.keypoints, changed.visibility)
        with as_at_prediction(net):
            outputs = with_heatmaps(net, net.outputs(net.get_representations(changed.images)))
        return {
            **outputs,
            "heatmaps_teacher": target_maps(targets),
            "confidences_teacher": torch.where(changed.visibility > 0, sure, torch.zeros_like(sure)),
            "valid": clip.valid,
        }
