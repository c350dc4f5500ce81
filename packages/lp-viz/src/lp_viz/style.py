"""How poses look."""

from dataclasses import dataclass, field

from lp_core import ConfigError


@dataclass(slots=True, kw_only=True)
class PoseStyle:
    """How one pose is drawn.

    Attributes:
        min_confidence: keypoints below are not drawn.
        skeleton: pairs of keypoint numbers to join by a line.
        radius: of a dot, in pixels of the picture; None = 1/110 of its shorter side, at least 2.
        names: write each keypoint's name beside it.
        faintest: opacity of a keypoint of confidence 0; one of confidence 1 is opaque.
    """

    min_confidence: float = 0.05
    skeleton: list[list[int]] = field(default_factory=list)
    radius: float | None = None
    names: bool = False
    faintest: float = 0.2

    def __post_init__(self) -> None:
        if any(len(pair) != 2 for pair in self.skeleton):
            raise ConfigError("skeleton must be a list of pairs of keypoint numbers, such as [[0,1],[1,2]].")
        if self.radius is not None and self.radius <= 0:
            raise ConfigError(f"radius={self.radius} must be above 0; leave it out to fit the picture.")


@dataclass(slots=True, kw_only=True)
class RenderOptions(PoseStyle):
    """How a video is rendered.

    Attributes:
        trail: frames for which a keypoint's path stays visible, fading; 0 = none.
        min_side: pictures whose shorter side is smaller are enlarged by a whole number, so that dots do not hide the
            animal.
        encoder: auto takes the machine's own where one works, else quick; exact takes three times as long for a smaller file.
        crf: quality of quick and exact, lower is better and larger.
        threads: that decode and encode; 0 takes every core.
        batch_size: frames decoded at a time.
        progress: report on stderr; None = only if that is a terminal.
    """

    trail: int = 0
    min_side: int = 320
    encoder: str = "auto"
    crf: int = 22
    threads: int = 0
    batch_size: int = 16
    progress: bool | None = None

    def __post_init__(self) -> None:
        PoseStyle.__post_init__(self)
        if self.trail < 0 or self.batch_size < 1 or self.min_side < 1:
            raise ConfigError("trail must be at least 0, batch_size and min_side at least 1.")
        if not 0 <= self.crf <= 51 or self.threads < 0:
            raise ConfigError("crf must be between 0 and 51, threads at least 0.")


@dataclass(slots=True, kw_only=True)
class SlowMotion:
    """Which moments of a video are shown, slowly, instead of all of it.

    Attributes:
        by: jumps = where a keypoint moved farthest from one frame to the next; unsure = where the mean confidence is
            lowest; worst = both.
        moments: how many.
        seconds: of the source that each lasts.
        factor: how many times slower it is shown.
    """

    by: str = "worst"
    moments: int = 5
    seconds: float = 1.0
    factor: float = 4.0

    def __post_init__(self) -> None:
        if self.by not in ("worst", "jumps", "unsure"):
            raise ConfigError(f"slow={self.by} must be worst, jumps or unsure.")
        if self.moments < 1 or self.seconds <= 0 or self.factor < 1:
            raise ConfigError("moments must be at least 1, seconds above 0, and slow motion a factor of at least 1.")
