"""What every tracker of animals must do. NumPy only."""

import dataclasses
from typing import Any

import numpy as np

from lp_core import Animals, AnimalTracker, trackers

BODY = np.array([[0.0, 0.0], [20.0, 4.0], [34.0, -3.0]])  # of one animal, in pixels
STARTS = np.array([[60.0, 60.0], [300.0, 80.0], [180.0, 320.0]])  # far from each other
STEPS = np.array([[2.0, 1.0], [-1.5, 2.0], [1.0, -2.0]])  # per frame
FRAMES = 20


class TrackerContract:
    """Subclass in a plugin's tests and set `name`; `options` are given to the config."""

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012

    def build(self) -> AnimalTracker:
        animals = Animals(individuals=("a", "b", "c"), parts=("nose", "back", "tail"))
        return trackers.make(self.name, **self.options).build(animals)

    def poses(self) -> np.ndarray:
        """Three animals that walk straight on and never meet: (frames, animals, keypoints, 2)."""
        centres = STARTS + np.arange(FRAMES)[:, None, None] * STEPS
        return centres[:, :, None] + BODY

    def follow(self, poses: np.ndarray, tracker: AnimalTracker | None = None) -> np.ndarray:
        """Numbers of tracks, (frames, animals)."""
        tracker = tracker or self.build()
        sure = np.where(np.isfinite(poses).all(-1), 0.9, np.nan)
        return np.stack([tracker.update(p.copy(), s) for p, s in zip(poses, sure, strict=True)])

    def test_its_config_is_a_slots_dataclass(self) -> None:
        cls = trackers[self.name]
        assert dataclasses.is_dataclass(cls) and hasattr(cls, "__slots__") and isinstance(self.build(), AnimalTracker)

    def test_animals_apart_keep_their_numbers_from_zero_on(self) -> None:
        numbers = self.follow(self.poses())
        assert sorted(numbers[-1]) == [0, 1, 2] and (numbers[FRAMES // 2 :] == numbers[-1]).all()

    def test_the_order_in_a_frame_makes_no_difference(self) -> None:
        poses, rng = self.poses(), np.random.default_rng(0)
        orders = np.stack([rng.permutation(3) for _ in range(FRAMES)])
        orders[0] = range(3)
        mixed = self.follow(np.take_along_axis(poses, orders[..., None, None], axis=1))
        np.testing.assert_array_equal(mixed, np.take_along_axis(self.follow(poses), orders, axis=1))

    def test_an_animal_that_is_not_there_has_no_number(self) -> None:
        poses = self.poses()
        poses[8:, 1] = np.nan
        numbers = self.follow(poses)
        assert (numbers[8:, 1] == -1).all() and (numbers[8:, [0, 2]] == numbers[-1, [0, 2]]).all()

    def test_nothing_at_all_is_no_error(self) -> None:
        nothing = np.full((3, 3, 3, 2), np.nan)
        assert (self.follow(nothing) == -1).all()

    def test_numbers_are_given_once(self) -> None:
        """After a long time without any, animals somewhere else are new."""
        poses, tracker = self.poses(), self.build()
        first = self.follow(poses, tracker)
        self.follow(np.full((200, 3, 3, 2), np.nan), tracker)
        later = self.follow(poses + 1000, tracker)
        assert later.max() > first.max() and not {*later[later >= 0]} & {*first[first >= 0]}

    def test_two_trackers_know_nothing_of_each_other(self) -> None:
        one = self.build()
        self.follow(self.poses(), one)
        np.testing.assert_array_equal(self.follow(self.poses(), self.build()), self.follow(self.poses()))
