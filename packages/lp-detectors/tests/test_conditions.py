import math

import pytest
import torch
from lp_core import ConfigError
from lp_detectors.conditions import (
    GOOD,
    INVERSION,
    JITTER,
    MISS,
    NONE,
    SWAP,
    ConditionOptions,
    draw_conditions,
    radius,
)  # fmt: skip

AREA, SIGMA = 100.0 * 60.0, 0.1
# nose, left ear, right ear, tail; the animals are far from each other, so that no ring reaches another's parts
ANIMAL = torch.tensor([[0.0, 30], [100, 0], [100, 60], [50, 30]])
MIRROR = (0, 2, 1, 3)


def distance(similarity: float, sigma: float = SIGMA) -> float:
    return math.sqrt(-2 * AREA * (2 * sigma) ** 2 * math.log(similarity))


def drawn(options: ConditionOptions, count: int = 3000, sigma: float = 0.1):
    truth = torch.stack([ANIMAL, ANIMAL + torch.tensor([2000.0, 0])]).expand(count, -1, -1, -1)
    return truth, *draw_conditions(truth, options, torch.Generator().manual_seed(0), mirror=MIRROR)


def test_radius_is_the_inverse_of_similarity():
    found = radius(torch.tensor(AREA), 0.5, SIGMA)
    assert math.exp(-(float(found) ** 2) / (2 * AREA * (2 * SIGMA) ** 2)) == pytest.approx(0.5)
    assert float(radius(torch.tensor(AREA), 1.0, SIGMA)) == 0


def test_kinds_come_as_often_as_asked():
    _, _, kinds = drawn(ConditionOptions())
    sided, count = kinds[:, :, 1:3], kinds[:, :, 1:3].numel()
    shares = {GOOD: 0.63, JITTER: 0.16, MISS: 0.10, INVERSION: 0.03, SWAP: 0.08}
    for kind, share in shares.items():
        assert (sided == kind).float().mean() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))
    middle, count = kinds[:, :, [0, 3]], kinds[:, :, [0, 3]].numel()
    for kind, share in shares.items():  # a part without a mirror part is never inverted; the others take its share
        share = 0 if kind == INVERSION else share / 0.97
        assert (middle == kind).float().mean() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))


@pytest.mark.parametrize(
    ("kind", "name", "low", "high"),
    [(JITTER, "jitter", 0.85, 0.5), (SWAP, "swap", 1.0, 0.5), (GOOD, "", 1.0, 0.85), (MISS, "miss", 0.5, 0.1)],
)
def test_distances_are_uniform_between_the_radii(kind: int, name: str, low: float, high: float):
    """The nose of a large animal: its parts are 3000 px from each other, so that nothing is turned away."""
    options = ConditionOptions(**{"jitter": 0, "miss": 0, "swap": 0, "inversion": 0, **({name: 1.0} if name else {})})
    options.sigma = SIGMA * math.sqrt(AREA) / math.sqrt(3000.0 * 1800.0)
    truth = torch.stack([ANIMAL * 30, ANIMAL * 30 + 90_000]).expand(3000, -1, -1, -1)
    places, kinds = draw_conditions(truth, options, torch.Generator().manual_seed(0))
    assert (kinds == kind).all()
    nose = places[:, 0, 0]
    gaps = (nose[:, None] - truth[:, :, 0]).norm(dim=-1)
    nearest, which = gaps.min(-1)
    assert set(which.tolist()) == {GOOD: {0}, JITTER: {0}, SWAP: {1}, MISS: {0, 1}}[kind]
    inner, outer = distance(low) if low < 1 else 0.0, distance(high)
    share = (nearest - inner) / (outer - inner)
    assert share.min() > -0.01 and share.max() < 1.01
    ranks = (torch.arange(3000) + 0.5) / 3000
    assert (share.sort().values - ranks).abs().max() < 1.63 / math.sqrt(3000) + 1e-3  # Kolmogorov-Smirnov, 1 %
    angle = torch.atan2(*(nose - truth[torch.arange(3000), which, 0]).T)
    assert angle.cos().mean().abs() < 0.05 and angle.sin().mean().abs() < 0.05


def test_an_inversion_is_at_the_mirror_part():
    truth, places, kinds = drawn(ConditionOptions(jitter=0, miss=0, swap=0, inversion=1.0))
    assert (kinds[:, :, 1:3] == INVERSION).all() and (kinds[:, :, [0, 3]] == GOOD).all()
    gap = (places[:, :, 1:3] - truth[:, :, [2, 1]]).norm(dim=-1)
    own = (places[:, :, 1:3] - truth[:, :, 1:3]).norm(dim=-1)
    assert gap.max() <= distance(0.5) + 1e-2 and (gap <= own + 1e-3).all() and gap.max() > 0.95 * distance(0.5)


def test_every_place_is_nearest_to_one_of_its_own_anchors():
    """Ears 8 px apart: rings overlap, and half of what is drawn has to be turned away."""
    truth = torch.tensor([[0.0, 30], [100, 26], [100, 34], [50, 90]]).expand(4000, 1, -1, -1)
    places, kinds = draw_conditions(truth, ConditionOptions(), torch.Generator().manual_seed(1), mirror=MIRROR)
    gaps = (places[:, 0, 1][:, None] - truth[:, 0, 1:3]).norm(dim=-1)
    kinds = kinds[:, 0, 1]
    own = (kinds == GOOD) | (kinds == JITTER)
    assert (gaps[own, 0] <= gaps[own, 1]).all() and (gaps[kinds == INVERSION, 1] <= gaps[kinds == INVERSION, 0]).all()
    assert own.sum() > 2000 and (kinds == INVERSION).sum() > 50


def test_what_is_not_labeled_stays_so_and_is_nobodys_anchor():
    truth = torch.stack([ANIMAL, ANIMAL + torch.tensor([2000.0, 0])]).repeat(500, 1, 1, 1)
    truth[:, 1], truth[:, 0, 2] = torch.nan, torch.nan
    places, kinds = draw_conditions(truth, ConditionOptions(), torch.Generator().manual_seed(0), mirror=MIRROR)
    assert places[:, 1].isnan().all() and (kinds[:, 1] == NONE).all() and (kinds[:, 0, 2] == NONE).all()
    assert places[:, 0, [0, 1, 3]].isfinite().all() and places[:, 0, 2].isnan().all()
    assert not ((kinds == SWAP) | (kinds == INVERSION)).any()


def test_the_same_generator_draws_the_same():
    one, two = drawn(ConditionOptions(), count=5), drawn(ConditionOptions(), count=5)
    assert torch.equal(one[1], two[1]) and torch.equal(one[2], two[2])


def test_whole_numbers_are_shares_too():
    _, _, kinds = drawn(ConditionOptions(jitter=1, miss=0, swap=0, inversion=0), count=50)
    assert (kinds == JITTER).all()


def test_shares_over_one_are_refused():
    with pytest.raises(ConfigError, match="in sum"):
        ConditionOptions(jitter=0.9, miss=0.2)
