"""Several animals, bottom up: score maps, offsets and part affinity fields, as in DeepLabCut's multi-animal models."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from lp_core import AnimalHeadConfig, Animals, ConfigError, Size

from lp_heads.limb_graph import DEGREE, check_edges, edges_from_poses, limb_graph
from lp_heads.limb_targets import WIDTH, LimbTargets
from lp_heads.locref import CRITERIONS, one_of
from lp_heads.map_scale import doublings
from lp_heads.paf_decoder import PAFDecoder, PAFDecoding
from lp_heads.paf_network import PAFHead, PAFShape
from lp_heads.paf_targets import PAFLayout, PAFTargets
from lp_heads.score_targets import KINDS, LOCREF_STD, RADIUS, ScoreTargets

GRAPHS = ("skeleton", "labels")


@dataclass(slots=True, kw_only=True)
class PAFConfig(AnimalHeadConfig):
    """All parts of all animals first, then which belong together.

    Attributes:
        criterion: bce (score maps are logits) or mse; the same as `losses.paf.criterion`.
        downsample_factor: maps have 1 / 2^downsample_factor of the input's size.
        hidden: channels of the trunk and of each stage.
        num_stages: refinements of score maps and fields; 0: the plain head.
        supervise_stages: train the predictions before the last stage too.
        target: gaussian or plateau.
        pos_dist_thresh: input pixels round a keypoint that count as it; a Gaussian's σ is two thirds of it.
        locref_std: input pixels per unit of the offsets.
        background_weight: weight of the map of a part that an animal in the frame has no label for; 1 teaches that there is
            nothing but what is labeled, 0 nothing.
        paf_width: input pixels to each side of a limb.
        edges: pairs of numbers of parts with a field; empty: as `graph` says.
        graph: skeleton: the skeleton, if it joins all parts, else of all pairs a random choice with at most `degree` per
            part. labels: when training begins, the pairs that tell animals apart best in the labels of the training frames,
            up to `degree` per part; they are written to `edges`.
        degree: limbs per part, on average.
        edge_seed: of the random choice.
        identity: one score map more for each individual, so that animals come back in the order of individuals; for
            animals that can be told apart.
        nms_radius: map cells to each side of a peak without another.
        spare_peaks: peaks per part looked at beyond one for each animal.
        threshold: score below which a peak is none.
        min_affinity: how far the field has to agree with a limb, up to 1.
        min_parts: animals with fewer are dropped.
    """

    criterion: str = "bce"
    downsample_factor: int = 2
    hidden: int = 128
    num_stages: int = 2
    supervise_stages: bool = True
    target: str = "plateau"
    pos_dist_thresh: float = RADIUS
    locref_std: float = LOCREF_STD
    background_weight: float = 1.0
    paf_width: float = WIDTH
    edges: list[list[int]] = field(default_factory=list)
    graph: str = "skeleton"
    degree: int = DEGREE
    edge_seed: int = 0
    identity: bool = False
    nms_radius: int = 1
    spare_peaks: int = 4
    threshold: float = 0.1
    min_affinity: float = 0.05
    min_parts: int = 2

    def __post_init__(self) -> None:
        one_of("head.criterion", self.criterion, CRITERIONS)
        one_of("head.target", self.target, KINDS)
        one_of("head.graph", self.graph, GRAPHS)
        if min(self.hidden, self.pos_dist_thresh, self.locref_std, self.paf_width) <= 0 or self.degree < 2:
            raise ConfigError(
                "head.hidden, head.pos_dist_thresh, head.locref_std and head.paf_width must be above zero, "
                "head.degree at least 2."
            )
        if min(self.num_stages, self.spare_peaks, self.nms_radius - 1, self.min_parts - 1) < 0:
            raise ConfigError(
                "head.num_stages and head.spare_peaks must be at least 0, head.nms_radius and head.min_parts at least 1."
            )
        if not (0 < self.threshold < 1 and 0 < self.min_affinity < 1 and 0 <= self.background_weight <= 1):
            raise ConfigError(
                "head.threshold and head.min_affinity must be between 0 and 1, head.background_weight from 0 to 1."
            )

    @property
    def supervised_loss(self) -> str:
        """`paf`."""
        return "paf"

    @property
    def model_type(self) -> str:
        """`paf`."""
        return "paf"

    def settle(self, keypoints: Float[np.ndarray, "frames keypoints 2"], animals: Animals) -> None:
        """Choose the edges, if that is left to the labels.

        Args:
            keypoints: labels of the training frames, in pixels; NaN = not labeled.
        """
        if self.graph == "labels" and not self.edges:
            self.edges = [list(edge) for edge in edges_from_poses(keypoints, animals, self.degree)]

    def build_animals(self, *, channels: int, stride: int, animals: Animals, image_size: Size) -> PAFHead:
        """The head for features of `channels` at `stride`.

        Raises:
            ConfigError: the maps cannot be made from such features, the edges do not fit the parts or are not chosen yet, or
                there is one part only.
        """
        if len(animals.parts) < 2:
            raise ConfigError("head=paf joins parts, and the animals have only one; choose another head.")
        if self.graph == "labels" and not self.edges:
            raise ConfigError("head.graph=labels is decided by the labels when training begins; else give head.edges.")
        upsamplings, cells = doublings(channels, stride, self.downsample_factor), 2**self.downsample_factor
        edges = check_edges(self.edges, animals) if self.edges else limb_graph(animals, self.degree, self.edge_seed)
        layout = PAFLayout(animals=animals, edges=edges, identity=self.identity)
        maps = ScoreTargets(image_size, cells, kind=self.target, radius=self.pos_dist_thresh, std=self.locref_std)
        limbs = LimbTargets(image_size, cells, edges, self.paf_width)
        targets = PAFTargets(layout, image_size, maps, limbs, self.background_weight)
        shape = PAFShape(
            upsamplings, self.hidden, self.num_stages, self.supervise_stages, logits=self.criterion == "bce"
        )  # fmt: skip
        return PAFHead(channels, layout, shape, targets, PAFDecoder(layout, cells, self._decoding()))

    def _decoding(self) -> PAFDecoding:
        return PAFDecoding(
            logits=self.criterion == "bce", kind=self.target, std=self.locref_std, radius=self.pos_dist_thresh,
            nms_radius=self.nms_radius, spare_peaks=self.spare_peaks, threshold=self.threshold,
            min_affinity=self.min_affinity, min_parts=self.min_parts,
        )  # fmt: skip
