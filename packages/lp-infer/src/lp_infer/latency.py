"""How long things take that happen often: percentiles in constant memory. Standard library only."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

GRAIN = math.log(1.01)  # percentiles are right to half of 1 %


class Durations:
    """Counts durations by size; the memory does not grow with their number."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count, self.longest = 0, 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[math.floor(math.log(max(seconds, 1e-9)) / GRAIN)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float:
        """The smallest duration that at least `share` percent do not exceed; NaN if there is none."""
        left = max(1, math.ceil(share / 100 * self.count))
        for size in sorted(self._counts):
            left -= self._counts[size]
            if left <= 0:
                return min(math.exp((size + 0.5) * GRAIN), self.longest)
        return math.nan

    def summary(self) -> "Spread":
        """The figures to report."""
        return Spread(self.percentile(50), self.percentile(99), self.longest if self.count else math.nan)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of many durations, in seconds: half are not above p50, 99 of 100 not above p99."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """How a live prediction went.

    Attributes:
        frames: poses given.
        dropped: frames that a newer one overtook before the network was free.
        seconds: from the first frame's arrival to the last pose.
        latency: from a frame's arrival, decoded, to its pose.
        interval: from one pose to the next.
        processor: of the user's processor, after the pose; None without one.
        runtime, device, precision: what the network ran with.
    """

    frames: int
    dropped: int
    seconds: float
    latency: Spread
    interval: Spread
    processor: Spread | None
    runtime: str
    device: str
    precision: str

    @property
    def frames_per_second(self) -> float:
        """Poses per second."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; all times in seconds, what is not known is null."""
        values = {**asdict(self), "frames_per_second": self.frames_per_second}
        return {key: _known(value) for key, value in values.items()}

    def __str__(self) -> str:
        rows = {"frame to pose": self.latency, "pose to pose": self.interval, "processor": self.processor}
        lines = [
            f"{self.frames} poses in {self.seconds:.1f} s: {self.frames_per_second:.1f}/s, {self.dropped} frames dropped"
        ]
        lines += [f"{'milliseconds':14}{'p50':>9}{'p99':>9}{'max':>9}"]
        lines += [f"{name:14}" + "".join(map(_cell, (s.p50, s.p99, s.max))) for name, s in rows.items() if s]
        return "\n".join([*lines, f"{self.runtime} on {self.device}, {self.precision}"])


def _cell(seconds: float) -> str:
    return f"{'–':>9}" if math.isnan(seconds) else f"{1000 * seconds:9.1f}"


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
