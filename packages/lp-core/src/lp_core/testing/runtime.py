"""What every runtime must do. NumPy only."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from lp_core import ConfigError, Poses, Runtime, runtimes

BATCH = 4


class RuntimeContract:
    """Subclass in a plugin's tests, set `name`, and give networks in whatever form the runtime takes them.

    Attributes:
        options: given to the config.
        model: a network for single frames; `changed`: one like it with another weight.
        following: a network that looks at frames before and after each one; None if the runtime runs no such.
        tolerance: px of the input.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    model: Any
    changed: Any
    following: Any = None
    tolerance = 0.05

    def frames(self) -> np.ndarray:
        """At least 14 real-looking frames (n, height, width, 3) at the networks' size, no two alike."""
        raise NotImplementedError

    def expected(self, model: Any, frames: np.ndarray) -> Poses:
        """The right answer; for `following` of the frames that have all their neighbours."""
        raise NotImplementedError

    def build(self, model: Any = None, **options: Any) -> Runtime:
        given = {"batch_size": BATCH, "device": "cpu", "threads": 1, **self.options, **options}
        return runtimes.make(self.name, **given).build(self.model if model is None else model)

    def test_its_config_is_a_slots_dataclass_and_says_what_is_missing(self) -> None:
        assert dataclasses.is_dataclass(runtimes[self.name]) and hasattr(runtimes[self.name], "__slots__")
        assert runtimes[self.name]().missing() == ""

    def test_it_describes_itself(self) -> None:
        runtime = self.build()
        assert isinstance(runtime, Runtime) and runtime.name == self.name
        assert all(isinstance(name, str) for name in runtime.keypoint_names) and runtime.model_type
        assert runtime.image_size == self.frames().shape[1:3] and runtime.context == 0
        assert runtime.device and runtime.precision and runtime.precision != "auto" and runtime.fingerprint

    def test_the_batch_size_is_the_one_asked_for_or_its_own_choice(self) -> None:
        assert self.build().batch_size == BATCH and self.build(batch_size=0).batch_size >= 1

    def test_poses_of_any_number_of_frames_up_to_a_batch(self) -> None:
        runtime, frames = self.build(), self.frames()
        points, sure = self.expected(self.model, frames)
        assert np.abs(np.diff(points, axis=0)).max((1, 2)).min() > 10 * self.tolerance, "the frames must be told apart"
        for count in (1, 3, BATCH):
            before = frames[:count].copy()
            found, confidence = runtime.start(frames[:count])[0]()
            assert found.shape == (count, len(runtime.keypoint_names), 2) and found.dtype == np.float64
            assert confidence.shape == found.shape[:2] and confidence.dtype == np.float64
            assert np.abs(found - points[:count]).max() < self.tolerance
            assert np.abs(confidence - sure[:count]).max() < 0.01
            assert np.array_equal(frames[:count], before)

    def test_results_can_wait_while_other_work_begins(self) -> None:
        runtime, frames = self.build(), self.frames()
        points, _ = self.expected(self.model, frames)
        waits = [runtime.start(frames[first : first + BATCH])[0] for first in (0, BATCH, 2 * BATCH)]
        found = np.concatenate([wait()[0] for wait in waits])
        assert np.abs(found - points[: len(found)]).max() < self.tolerance

    def test_the_same_frames_give_the_same_bytes(self) -> None:
        frames = self.frames()[:BATCH]
        runtime = self.build()
        results = [made.start(frames)[0]() for made in (runtime, runtime, self.build())]
        assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))

    def test_the_fingerprint_tells_networks_and_settings_apart(self) -> None:
        runtime = self.build()
        assert runtime.fingerprint == self.build().fingerprint != self.build(self.changed).fingerprint
        assert self.name in runtime.fingerprint and runtime.precision in runtime.fingerprint

    @pytest.mark.parametrize("options", [{"device": "abacus"}, {"precision": "float7"}])
    def test_what_it_does_not_know_is_one_sentence(self, options: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match=next(iter(options.values()))):
            self.build(**options)

    def test_a_sequence_in_pieces(self) -> None:
        """Poses come `context` frames late, whatever pieces the frames come in."""
        if self.following is None:
            pytest.skip(f"{self.name} runs no network that looks at several frames")
        frames, runtime = self.frames(), self.build(self.following)
        context = runtime.context
        assert context > 0 and runtime.batch_size >= 2 * context
        points, sure = self.expected(self.following, frames)
        assert np.abs(np.diff(points, axis=0)).max((1, 2)).min() > 10 * self.tolerance, "the frames must be told apart"
        for pieces in ([3, 7, 8, 11], [1, 2, 4, 8, 10], [BATCH, 2 * BATCH, 3 * BATCH]):
            found, state = [], None
            for part in np.split(frames, pieces):
                wait, state = runtime.start(part, state)
                found.append(wait())
            late, confidence = (np.concatenate(values)[2 * context :] for values in zip(*found, strict=True))
            assert np.abs(late - points).max() < self.tolerance and np.abs(confidence - sure).max() < 0.01

    def test_a_state_can_be_used_twice(self) -> None:
        if self.following is None:
            pytest.skip(f"{self.name} runs no network that looks at several frames")
        frames, runtime = self.frames(), self.build(self.following)
        _, state = runtime.start(frames[:BATCH])
        first, second = (runtime.start(frames[BATCH : 2 * BATCH], state)[0]() for _ in range(2))
        assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
