"""Choosing a tracker: `lp.trackers`."""

import abc
import math
from dataclasses import dataclass

from lp_core import Animals, ConfigError, TrackerConfig

from lp_infer.tracking.bodies import Body, Box, Ellipse, Skeleton
from lp_infer.tracking.follow import Follower


@dataclass(slots=True, kw_only=True)
class FollowerConfig(TrackerConfig, abc.ABC):
    """What trackers that assign animals to predicted tracks have in common.

    Attributes:
        similarity: above 0 to 1; an animal less like a track than this is not assigned to it.
        max_age: frames in a row in which an animal may be missing and still be found where it should be by then.
        min_hits: animals seen in fewer frames than this have no track yet.
        min_confidence: keypoints below it are not listened to.
        length: of an animal in pixels; 0 = as they are found.
    """

    similarity: float = 0.4
    max_age: int = 5
    min_hits: int = 1
    min_confidence: float = 0.1
    length: float = 0.0

    def __post_init__(self) -> None:
        for name in ("similarity", "max_age", "min_hits", "min_confidence", "length"):
            if not isinstance(getattr(self, name), int | float):
                raise ConfigError(f"tracker.{name}={getattr(self, name)} must be a number.")
        checks = (
            ("similarity", 0 < self.similarity <= 1, "above 0 and at most 1"),
            ("max_age", self.max_age >= 0, "a number of frames, 0 or more"),
            ("min_hits", self.min_hits >= 1, "a number of frames, 1 or more"),
            ("min_confidence", math.isfinite(self.min_confidence), "a number"),
            ("length", math.isfinite(self.length) and self.length >= 0, "a number of pixels, or 0 to have it found"),
        )
        for name, good, wanted in checks:
            if not good:
                raise ConfigError(f"tracker.{name}={getattr(self, name)} must be {wanted}.")

    def build(self, animals: Animals) -> Follower:
        """Build one for one video."""
        return Follower(self._body(), self)

    @abc.abstractmethod
    def _body(self) -> Body: ...


@dataclass(slots=True, kw_only=True)
class EllipseConfig(FollowerConfig):
    """Follows the ellipse of each animal's keypoints: centre, length and direction."""

    def _body(self) -> Body:
        return Ellipse()


@dataclass(slots=True, kw_only=True)
class BoxConfig(FollowerConfig):
    """Follows the box around each animal's keypoints, by how much boxes overlap."""

    similarity: float = 0.1

    def _body(self) -> Body:
        return Box()


@dataclass(slots=True, kw_only=True)
class SkeletonConfig(FollowerConfig):
    """Follows every keypoint of each animal."""

    def _body(self) -> Body:
        return Skeleton()
