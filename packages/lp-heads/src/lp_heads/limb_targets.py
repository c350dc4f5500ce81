"""Part affinity fields as targets (Cao et al., "Realtime multi-person 2D pose estimation using part affinity fields", 2017)."""

import math

import torch
from jaxtyping import Bool, Float, Int
from lp_core import Size
from torch import Tensor

from lp_heads.cells import map_size, nearest_claims, to_cells

WIDTH = 20.0  # input pixels; DeepLabCut's
AT_ONCE = 4_000_000, 1_000_000  # cells visited and cells of maps in one go


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
        fields = parts.new_zeros(batch * count * 2 * area + 1)
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
        number, cell, across = self._cells(limbs, (usable & (length[..., 0] > 0)).flatten())
        maps = number[:, None] // animals  # batch and edge
        count = batch * edges * area
        own = nearest_claims(
            torch.where(cell >= 0, maps * area + cell, count), across, number[:, None] % animals, count
        )
        strength, unit = 1 - across / self.width, unit.flatten(0, 2)[number]
        shift = ((maps // edges) * len(self.edges) + first + maps % edges) * 2 * area
        lost = len(fields) - 1
        target = torch.where(own < count, shift + cell, lost).flatten()
        fields.scatter_(0, target, (unit[:, :1] * strength).flatten())
        fields.scatter_(0, (target + area).clamp_max(lost), (unit[:, 1:] * strength).flatten())

    def _cells(
        self, limbs: Float[Tensor, "limbs 5"], usable: Bool[Tensor, " limbs"]
    ) -> tuple[Int[Tensor, " lines"], Int[Tensor, "lines across"], Float[Tensor, "lines across"]]:
        """For each row or column that a limb crosses, the limb's number, and the cells that may be in reach: which (-1 =
        none), and their distance from the limb's line in input pixels.
        """
        steep = limbs[:, 3].abs() > limbs[:, 2].abs()
        major, minor = torch.where(steep, 1, 0), torch.where(steep, 0, 1)
        number, line = self._lines(limbs, usable, major, minor)
        rows = limbs[number]
        major, minor = major[number, None], minor[number, None]
        a, u = rows[:, :2], rows[:, 2:4]
        a_major, a_minor, u_major, u_minor = (
            a.gather(1, major),
            a.gather(1, minor),
            u.gather(1, major),
            u.gather(1, minor),
        )
        along_major = line[:, None] - a_major
        half = self.width / self.stride / u_major.abs()
        low = torch.ceil(a_minor + along_major * u_minor / u_major - half)
        along_minor = low + torch.arange(self.across, device=rows.device) - a_minor
        t = (along_major * u_major + along_minor * u_minor) * self.stride
        across = (along_major * u_minor - along_minor * u_major).abs() * self.stride
        places = (along_minor + a_minor).round().long()
        limit = torch.where(major == 0, self.size[0], self.size[1])
        hit = (across <= self.width) & (t >= -self.stride) & (t <= rows[:, 4:] + self.stride)
        hit = hit & (places >= 0) & (places < limit) & usable[number, None]
        line = line.long()[:, None]
        cell = torch.where(major == 0, places * self.size[1] + line, line * self.size[1] + places)
        return number, torch.where(hit, cell, -1), across

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
