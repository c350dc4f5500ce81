"""Part affinity fields as targets (Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", 2017)."""

import math

import torch
from jaxtyping import Bool, Float, Int
from lp_core import Size
from torch import Tensor

from lp_heads.cells import map_size, nearest_claims, to_cells, zeros

WIDTH = 20.0  # input pixels; DeepLabCut's
AT_ONCE = 4_000_000, 2_000_000  # cells visited and cells of maps in one go


class LimbTargets:
    """Encodes limbs as fields: `u (1 - w)`, u the unit vector from the first part to the second.

    w is the distance from the line through both over `width`; the field is zero where w exceeds 1, and from one cell before
    the first part and one cell after the second on (within one cell of the ends it goes on, so that what is read between
    cells on the limb is not mixed with zeros). Where animals overlap the nearest limb has the cell, of equally near ones
    the first animal's. A limb without length has no field.

    For each row or column of cells that a limb crosses, whichever it crosses more steeply, the few cells in reach are
    visited, not the whole map.

    Args:
        edges: pairs of parts.
        width: to each side of a limb, input pixels.
    """

    size: Size
    stride: float
    width: float
    across: int

    def __init__(self, image_size: Size, stride: float, edges: tuple[tuple[int, int], ...], width: float) -> None:
        self.size, self.stride, self.width = map_size(image_size, stride), stride, width
        self.edges = edges
        self.across = math.floor(2 * math.sqrt(2) * width / stride) + 1  # cells of a row or column that can be in reach

    def __call__(
        self, parts: Float[Tensor, "batch animals parts 2"], known: Bool[Tensor, "batch animals parts"]
    ) -> Float[Tensor, "batch fields h w"]:
        """Keypoints in input pixels → (batch, 2 edges, H, W), x and y of each edge in turn."""
        batch, animals = parts.shape[:2]
        area, count = math.prod(self.size), len(self.edges)
        fields = zeros(batch * count * 2 * area + 1, parts)
        pairs = torch.tensor(self.edges, device=parts.device)
        visited = batch * animals * max(self.size) * self.across
        at_once = max(min(AT_ONCE[0] // visited, AT_ONCE[1] // (batch * area)), 1)
        for first in range(0, count, at_once):
            chosen = pairs[first : first + at_once]
            both = parts[:, :, chosen].transpose(1, 2)  # batch, edges, animals, ends, 2
            usable = known[:, :, chosen].all(-1).transpose(1, 2)
            self._draw(fields, both, usable, first)
        return fields[:-1].view(batch, 2 * count, *self.size)

    def _draw(
        self,
        fields: Float[Tensor, " cells"],
        ends: Float[Tensor, "batch edges animals 2 2"],
        usable: Bool[Tensor, "batch edges animals"],
        first: int,
    ) -> None:
        """Write the limbs of some edges, `first` and the following ones."""
        batch, edges, animals = usable.shape
        area = math.prod(self.size)
        way = torch.where(usable[..., None], ends[..., 1, :] - ends[..., 0, :], 0.0)
        length = way.norm(dim=-1, keepdim=True)
        unit = way / length.clamp_min(1e-6)
        start = to_cells(torch.where(usable[..., None], ends[..., 0, :], 0.0), self.stride)
        limbs = torch.cat([start, unit, length], dim=-1).flatten(0, 2)
        number, line, cell, across = self._cells(limbs, (usable & (length[..., 0] > 0)).flatten())
        maps = number // animals  # batch and edge
        count, lost = batch * edges * area, len(fields) - 1
        claimed = ((maps * area).index_select(0, line) + cell).masked_fill_(cell < 0, count)
        own = nearest_claims(claimed, across, (number % animals).index_select(0, line), count)
        strength, unit = 1 - across / self.width, unit.flatten(0, 2)[number]
        shift = ((maps // edges) * len(self.edges) + first + maps % edges) * 2 * area
        target = (shift.index_select(0, line) + cell).masked_fill_(own == count, lost)
        fields.scatter_(0, target, unit[:, 0].index_select(0, line) * strength)
        fields.scatter_(0, (target + area).clamp_max_(lost), unit[:, 1].index_select(0, line) * strength)

    def _cells(
        self, limbs: Float[Tensor, "limbs 5"], usable: Bool[Tensor, " limbs"]
    ) -> tuple[Int[Tensor, " lines"], Int[Tensor, " cells"], Int[Tensor, " cells"], Float[Tensor, " cells"]]:
        """The number of the limb of each row or column that one crosses, and the cells in reach: on which of these rows
        or columns, which one of the map (-1 = none), and their distance from the limb's line in input pixels.
        """
        steep = limbs[:, 3].abs() > limbs[:, 2].abs()
        major, minor = torch.where(steep, 1, 0), torch.where(steep, 0, 1)
        number, line = self._lines(limbs, usable, major, minor)
        rows, upright = limbs[number], ~steep[number]
        start, unit = (torch.where(upright, pair, pair.flip(0)) for pair in (rows[:, :2].T, rows[:, 2:4].T))
        along = line - start[0]
        low, count = self._spans(start[1], unit, along, rows[:, 4], torch.where(upright, self.size[0], self.size[1]))
        of, place, hit = self._listed(torch.where(usable[number], count, 0))
        first = (along * unit[1] - (low - start[1]) * unit[0]) * self.stride
        across = first.index_select(0, of) - place * (unit[0] * self.stride).index_select(0, of)
        low, line = low.long(), line.long()
        begin = torch.where(upright, low * self.size[1] + line, line * self.size[1] + low)
        step = torch.where(upright, self.size[1], 1)
        cell = begin.index_select(0, of) + place * step.index_select(0, of)
        return number, of, cell if hit is None else torch.where(hit, cell, -1), across.abs().clamp_max(self.width)

    def _spans(
        self, start: Tensor, unit: Float[Tensor, "2 lines"], along: Tensor, length: Tensor, limit: Tensor
    ) -> tuple[Float[Tensor, " lines"], Int[Tensor, " lines"]]:
        """The first cell in reach on each row or column, and how many there are.

        Args:
            start: of the limb, across the rows or columns.
            unit: the limb's direction, along what it crosses and across.
            along: from the limb's start to the row or column, cells.
            length: of the limb, input pixels.
            limit: cells on the row or column.
        """
        middle, reach = along * unit[1], self.width / self.stride
        beside = _between(unit[0], middle - reach, middle + reach)
        low, high = -1 - along * unit[0], length / self.stride + 1 - along * unit[0]
        within = _between(unit[1], low, high)
        low = (start + beside[0].maximum(within[0])).ceil().clamp_min(0)
        high = (start + beside[1].minimum(within[1])).floor().minimum(limit - 1.0)
        count = (high - low + 1).clamp_min(0)
        return torch.where(count > 0, low, 0.0), count.long()

    def _listed(self, count: Int[Tensor, " lines"]) -> tuple[Tensor, Tensor, Tensor | None]:
        """For each cell its row or column, how many cells it is after the first one there, and if it is one at all.

        On a CPU there are `count` for each; on other devices, where the sum would be waited for, as many as there can be.
        """
        lines = torch.arange(len(count), device=count.device)
        if count.device.type == "cpu":
            of = lines.repeat_interleave(count)
            return of, torch.arange(len(of)) - (count.cumsum(0) - count).index_select(0, of), None
        place = torch.arange(self.across, device=count.device).repeat(len(count))
        of = lines.repeat_interleave(self.across)
        return of, place, place < count.index_select(0, of)

    def _lines(
        self, limbs: Tensor, usable: Tensor, major: Tensor, minor: Tensor
    ) -> tuple[Int[Tensor, " lines"], Float[Tensor, " lines"]]:
        """The number of a limb and of a row or column of cells that may have some in reach.

        On a CPU those that have none are left out, on other devices all are there: counting them would wait for the device.
        """
        line = torch.arange(max(self.size), device=limbs.device, dtype=limbs.dtype)
        number = torch.arange(len(limbs), device=limbs.device)
        if limbs.device.type != "cpu":
            clamped = line.expand(len(limbs), -1).clamp_max(self._last(major)[:, None])
            return number.repeat_interleave(len(line)), clamped.flatten()
        u_major, u_minor = (limbs[:, 2:4].gather(1, axis[:, None])[:, 0] for axis in (major, minor))
        start = limbs[:, :2].gather(1, major[:, None])[:, 0]
        end = start + u_major * limbs[:, 4] / self.stride
        more = (self.stride * u_major.abs() + self.width * u_minor.abs()) / self.stride
        low, high = torch.minimum(start, end) - more, torch.maximum(start, end) + more
        last = self._last(major)[:, None]
        used = (line >= low[:, None]) & (line <= high[:, None]) & (line <= last) & usable[:, None]
        limb, place = used.nonzero(as_tuple=True)
        return limb, line[place]

    def _last(self, major: Tensor) -> Float[Tensor, " limbs"]:
        return torch.where(major == 0, self.size[1] - 1.0, self.size[0] - 1.0)


def _between(
    slope: Float[Tensor, " lines"], low: Float[Tensor, " lines"], high: Float[Tensor, " lines"]
) -> tuple[Float[Tensor, " lines"], Float[Tensor, " lines"]]:
    """From where to where `slope` x is between `low` and `high`; the first is above the second if it never is."""
    level = slope == 0
    ends = torch.stack([low, high]) / torch.where(level, 1.0, slope)
    inside = (low <= 0) & (high >= 0)
    first = torch.where(level, torch.where(inside, -torch.inf, torch.inf), ends.amin(0))
    return first, torch.where(level, torch.inf, ends.amax(0))
