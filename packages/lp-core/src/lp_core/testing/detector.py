"""What every detector must do."""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from lp_core import detectors
from lp_core.tensors import Detector

ANIMALS, BATCH = 3, 2


class DetectorContract:
    """Subclass in a plugin's tests and set `name`; `options` are given to the config.

    They should let boxes of an untrained network through, so that there is something to look at.
    """

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012
    size = (72, 96)  # (height, width), not square and no multiple of 32 on purpose

    def config(self) -> Any:
        return detectors.make(self.name, **self.options)

    def build(self, seed: int = 0, animals: int = ANIMALS) -> Any:
        torch.manual_seed(seed)
        return self.config().build(image_size=self.size, animals=animals)

    def images(self) -> Tensor:
        g = torch.Generator().manual_seed(1)
        return torch.randint(0, 256, (BATCH, 3, *self.size), generator=g, dtype=torch.uint8)

    def boxes(self) -> Tensor:
        """Two animals in the first frame, one of them over its border; none in the second."""
        none = [torch.nan] * 4
        return torch.tensor([[[10.0, 12.0, 40.0, 50.0], [60.0, 20.0, 99.5, 70.0], none], [none] * 3])

    def test_its_config_is_a_slots_and_keyword_only_dataclass(self) -> None:
        cls = detectors[self.name]
        assert dataclasses.is_dataclass(cls) and hasattr(cls, "__slots__")
        assert all(field.kw_only for field in dataclasses.fields(cls))

    def test_it_is_a_module_that_satisfies_the_protocol(self) -> None:
        assert isinstance(self.build(), nn.Module) and isinstance(self.build(), Detector)

    @torch.no_grad()
    def test_boxes_come_best_first_and_end_in_nan(self) -> None:
        boxes, scores = self.build().eval()(self.images())
        assert boxes.shape == (BATCH, ANIMALS, 4) and scores.shape == (BATCH, ANIMALS)
        assert scores.isfinite().all() and ((scores >= 0) & (scores <= 1)).all()
        assert (scores[:, 1:] <= scores[:, :-1]).all()
        exists = scores > 0
        assert torch.equal(boxes.isfinite().all(-1), exists) and torch.equal(boxes.isnan().all(-1), ~exists)
        assert (boxes[exists][:, 2:] >= boxes[exists][:, :2]).all()

    @torch.no_grad()
    def test_a_frame_is_answered_whatever_is_beside_it(self) -> None:
        net, images = self.build().eval(), self.images()
        (boxes, scores), (alone, score) = net(images), net(images[1:])
        assert torch.allclose(scores[1:], score, atol=1e-5)
        assert torch.allclose(boxes[1:], alone, atol=1e-2, equal_nan=True)

    @torch.no_grad()
    def test_fewer_animals_are_the_best_of_more(self) -> None:
        many, one = self.build().eval(), self.build(animals=1).eval()
        one.load_state_dict(many.state_dict())
        (boxes, scores), (best, score) = many(self.images()), one(self.images())
        assert torch.allclose(scores[:, :1], score, atol=1e-5)
        clear = scores[:, 0] > scores[:, 1] + 1e-5  # an untrained network may give many boxes the same score
        assert torch.allclose(boxes[clear, :1], best[clear], atol=1e-2, equal_nan=True)

    def test_its_loss_trains_it(self) -> None:
        net = self.build().train()
        before = net.loss(self.images().float(), self.boxes())
        assert before.shape == () and before.isfinite()
        before.backward()
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        assert len(grads) > 1 and all(g.isfinite().all() for g in grads) and any(g.abs().sum() > 0 for g in grads)

    def test_frames_without_animals_have_a_loss(self) -> None:
        net = self.build().train()
        loss = net.loss(self.images().float(), torch.full((BATCH, ANIMALS, 4), torch.nan))
        loss.backward()
        assert loss.isfinite() and all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())

    @torch.no_grad()
    def test_the_loss_of_validation_is_repeatable_and_changes_nothing(self) -> None:
        net = self.build().eval()
        before = copy.deepcopy(net.state_dict())
        state = torch.get_rng_state()
        losses = [net.loss(self.images().float(), self.boxes()) for _ in range(2)]
        assert losses[0].isfinite() and torch.equal(*losses) and not any(m.training for m in net.modules())
        assert torch.equal(state, torch.get_rng_state())
        assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())

    def test_the_same_seed_builds_the_same_detector(self) -> None:
        one, two = self.build().state_dict(), self.build().state_dict()
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
