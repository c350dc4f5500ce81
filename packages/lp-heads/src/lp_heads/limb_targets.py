"""Part affinity fields as targets (Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", 2017)."""

import math

import torch
from jaxtyping import Bool, Float, Int
from lp_core import Size
from torch import Tensor

from lp_heads.cells import EVEN, is_nearest, map_size, to_cells, zeros

WIDTH = 20.0  # input pixels; DeepLabCut's
AT_ONCE = 4_000_000, 4_000_000  # cells visited and cells of maps in one go


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
        cells = batch * count * 2 * area
        fields = zeros(cells + area + 1, parts)
        pairs = torch.tensor(self.edges, device=parts.device)
        frames = max(batch, 1)
        visited = frames * animals * max(self.size) * self.across
        at_once = max(min(AT_ONCE[0] // visited, AT_ONCE[1] // (frames * area)), 1)
        nearest = parts.new_empty(min(at_once, count) * batch * area + 1)
        for first in range(0, count, at_once):
            chosen = pairs[first : first + at_once]
            both = parts[:, :, chosen].transpose(1, 2)  # batch, edges, animals, ends, 2
            usable = known[:, :, chosen].all(-1).transpose(1, 2)
            self._draw(fields, both, usable, first, nearest)
        return fields[:cells].view(batch, 2 * count, *self.size)

    def _draw(
        self,
        fields: Float[Tensor, " cells"],
        ends: Float[Tensor, "batch edges animals 2 2"],
        usable: Bool[Tensor, "batch edges animals"],
        first: int,
        nearest: Tensor,
    ) -> None:
        """Write the limbs of some edges, `first` and the following ones.

        Args:
            fields: of all edges, then a map and a cell that are thrown away.
            nearest: room for a map per frame and edge, and a cell.
        """
        edges, animals = usable.shape[1:]
        area, lost = math.prod(self.size), len(fields) - math.prod(self.size) - 1
        way = torch.where(usable[..., None], ends[..., 1, :] - ends[..., 0, :], 0.0)
        length = way.norm(dim=-1, keepdim=True)
        start = to_cells(torch.where(usable[..., None], ends[..., 0, :], 0.0), self.stride)
        limbs = torch.cat([start, way / length.clamp_min(1e-6), length], dim=-1)
        usable = usable & (length[..., 0] > 0)
        limb = torch.arange(usable.numel(), device=usable.device)
        maps = limb // animals  # batch and edge
        shift = ((maps // edges) * len(self.edges) + first + maps % edges) * 2 * area
        number, line, cell, across = self._cells(limbs.flatten(0, 2), usable.flatten(), shift, lost)
        if animals > 1:
            rivals = self._listed_rivals(self._rivals(limbs, usable).flatten().index_select(0, number), line)
            of = number.index_select(0, line.index_select(0, rivals))
            mine = cell.index_select(0, rivals)
            claimed = torch.where(mine < lost, mine + (maps * area - shift).index_select(0, of), len(nearest) - 1)
            distance = across.index_select(0, rivals) + (EVEN * (limb % animals)).index_select(0, of)
            cell.index_copy_(0, rivals, torch.where(is_nearest(claimed, distance, nearest), mine, lost))
        strength = across.div_(-self.width).add_(1)
        for axis, half in enumerate((fields, fields[area:])):
            unit = limbs[..., 2 + axis].flatten().index_select(0, number)
            half.scatter_(0, cell, unit.index_select(0, line).mul_(strength))

    def _listed_rivals(self, rivals: Bool[Tensor, " lines"], line: Int[Tensor, " cells"]) -> Int[Tensor, " some"]:
        """The cells on rows and columns of limbs that have a rival; on other devices than a CPU all, see `_lines`."""
        if line.device.type == "cpu":
            return rivals.index_select(0, line).nonzero()[:, 0]
        return torch.arange(len(line), device=line.device)

    def _rivals(
        self, limbs: Float[Tensor, "batch edges animals 5"], usable: Bool[Tensor, "batch edges animals"]
    ) -> Bool[Tensor, "batch edges animals"]:
        """Whether another animal's limb comes so near that both may have the same cell in reach."""
        start, unit, length = limbs.split([2, 2, 1], dim=-1)
        end = start + unit * length / self.stride
        more = self.width / self.stride + 1
        low, high = torch.minimum(start, end) - more, torch.maximum(start, end) + more
        meet = (low[..., :, None, :] <= high[..., None, :, :]).all(-1) & usable[..., :, None] & usable[..., None, :]
        return (meet & meet.transpose(-1, -2)).sum(-1) > 1  # itself is one

    def _cells(
        self, limbs: Float[Tensor, "limbs 5"], usable: Bool[Tensor, " limbs"], shift: Int[Tensor, " limbs"], lost: int
    ) -> tuple[Int[Tensor, " lines"], Int[Tensor, " cells"], Int[Tensor, " cells"], Float[Tensor, " cells"]]:
        """The number of the limb of each row or column that one crosses, and the cells in reach: on which of these rows
        or columns, which one after the limb's `shift` (`lost` = none), and their distance from the limb's line in input
        pixels.
        """
        steep = limbs[:, 3].abs() > limbs[:, 2].abs()
        major, minor = torch.where(steep, 1, 0), torch.where(steep, 0, 1)
        number, line = self._lines(limbs, usable, major, minor)
        turned = limbs.gather(1, torch.stack([major, minor, major + 2, minor + 2, torch.full_like(major, 4)], dim=1))
        upright, rows = ~steep.index_select(0, number), turned.T.contiguous().index_select(1, number)
        along, start, unit = line - rows[0], rows[1], rows[2:4]
        low, count = self._spans(start, unit, along, rows[4], torch.where(upright, self.size[0], self.size[1]))
        count = torch.where(usable.index_select(0, number), count, 0)
        of, place, hit = self._listed(count.long())
        first = (along * unit[1] - (low - start) * unit[0]) * self.stride
        across = first.index_select(0, of) - place * (unit[0] * self.stride).index_select(0, of)
        low, line, width = low.long(), line.long(), self.size[1]
        begin, step = torch.where(upright, low * width + line, line * width + low), torch.where(upright, width, 1)
        begin += shift.index_select(0, number)
        cell = begin.index_select(0, of).addcmul_(place, step.index_select(0, of))
        return number, of, cell if hit is None else torch.where(hit, cell, lost), across.abs_().clamp_(max=self.width)

    def _spans(
        self, start: Tensor, unit: Float[Tensor, "2 lines"], along: Tensor, length: Tensor, limit: Tensor
    ) -> tuple[Float[Tensor, " lines"], Float[Tensor, " lines"]]:
        """The first cell in reach on each row or column, and how many there are; none where `unit` is zero.

        Args:
            start: of the limb, across the rows or columns.
            unit: the limb's direction, along what it crosses and across.
            along: from the limb's start to the row or column, cells.
            length: of the limb, input pixels.
            limit: cells on the row or column.
        """
        middle, reach, done = along * unit[1] / unit[0], self.width / self.stride / unit[0].abs(), along * unit[0]
        first, last = _between(unit[1], -1 - done, length / self.stride + 1 - done)
        low = (start + first.maximum(middle - reach)).ceil().clamp_min(0)
        high = (start + last.minimum(middle + reach)).floor().minimum(limit - 1.0)
        count = (high - low + 1).clamp_min(0)
        return torch.where(count > 0, low, 0.0), count

    def _listed(self, count: Int[Tensor, " lines"]) -> tuple[Tensor, Tensor, Tensor | None]:
        """For each cell its row or column, how many cells it is after the first one there, and if it is one at all.

        On a CPU there are `count` for each; on other devices, where the sum would be waited for, as many as there can be.
        """
        if count.device.type == "cpu":
            return *_counted(count), None
        place = torch.arange(self.across, device=count.device).repeat(len(count))
        of = torch.arange(len(count), device=count.device).repeat_interleave(self.across)
        return of, place, place < count.index_select(0, of)

    def _lines(
        self, limbs: Tensor, usable: Tensor, major: Tensor, minor: Tensor
    ) -> tuple[Int[Tensor, " lines"], Float[Tensor, " lines"]]:
        """The number of a limb and of a row or column of cells that may have some in reach.

        On a CPU those that have none are left out, on other devices all are there: counting them would wait for the device.
        """
        if limbs.device.type != "cpu":
            number = torch.arange(len(limbs), device=limbs.device)
            line = torch.arange(max(self.size), device=limbs.device, dtype=limbs.dtype)
            clamped = line.expand(len(limbs), -1).clamp_max(self._last(major)[:, None])
            return number.repeat_interleave(len(line)), clamped.flatten()
        u_major, u_minor = (limbs[:, 2:4].gather(1, axis[:, None])[:, 0] for axis in (major, minor))
        start = limbs[:, :2].gather(1, major[:, None])[:, 0]
        end = start + u_major * limbs[:, 4] / self.stride
        more = (self.stride * u_major.abs() + self.width * u_minor.abs()) / self.stride
        low = (torch.minimum(start, end) - more).ceil().clamp_min(0)
        high = (torch.maximum(start, end) + more).floor().minimum(self._last(major))
        count = torch.where(usable, (high - low + 1).clamp_min(0), 0).long()
        of, place = _counted(count)
        return of, low.index_select(0, of) + place

    def _last(self, major: Tensor) -> Float[Tensor, " limbs"]:
        return torch.where(major == 0, self.size[1] - 1.0, self.size[0] - 1.0)


def _counted(count: Int[Tensor, " things"]) -> tuple[Int[Tensor, " all"], Int[Tensor, " all"]]:
    """0 … count - 1 for each of several things, one after the other: which thing, and the number."""
    of = torch.arange(len(count)).repeat_interleave(count)
    return of, torch.arange(len(of)) - (count.cumsum(0) - count).index_select(0, of)


def _between(
    slope: Float[Tensor, " lines"], low: Float[Tensor, " lines"], high: Float[Tensor, " lines"]
) -> tuple[Float[Tensor, " lines"], Float[Tensor, " lines"]]:
    """From where to where `slope` x is between `low` and `high`; the first is above the second if it never is."""
    level = slope == 0
    ends = torch.stack([low, high]) / torch.where(level, 1.0, slope)
    inside = (low <= 0) & (high >= 0)
    first = torch.where(level, torch.where(inside, -torch.inf, torch.inf), ends.amin(0))
    return first, torch.where(level, torch.inf, ends.amax(0))
