"""How far fields agree that two peaks are the ends of one limb."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

SAMPLES = 10


def affinities(
    fields: Float[Tensor, "batch fields h w"],
    starts: Float[Tensor, "batch edges count 2"],
    ends: Float[Tensor, "batch edges count 2"],
    samples: int = SAMPLES,
) -> Float[Tensor, "batch edges count count"]:
    """The mean, along the line from each start to each end, of the field's component in its direction: -1 … 1.

    The field is read between cells (bilinear), `samples` times at equal steps, beyond the border as at it. A line
    against the field gives a negative number, one without length 0.

    Args:
        fields: x and y of each edge in turn.
        starts, ends: in cells.
    """
    batch, edges, count = starts.shape[:3]
    way = (ends[:, :, None] - starts[:, :, :, None]).flatten(0, 1)
    unit = (way / way.norm(dim=-1, keepdim=True).clamp_min(1e-6)).permute(0, 3, 1, 2)
    steps = (torch.arange(samples, device=fields.device, dtype=fields.dtype) + 0.5) / samples
    last = torch.tensor([fields.shape[-1] - 1, fields.shape[-2] - 1], device=fields.device).clamp_min(1)
    first, final = ((2 * points / last - 1).flatten(0, 1) for points in (starts, ends))
    lines = torch.lerp(first[:, :, None, None], final[:, None, :, None], steps[:, None]).flatten(1, 2)
    maps = fields.reshape(batch * edges, 2, *fields.shape[-2:])
    read = F.grid_sample(maps, lines, padding_mode="border", align_corners=True).mean(-1)
    return (read.unflatten(-1, (count, count)) * unit).sum(1).unflatten(0, (batch, edges))
