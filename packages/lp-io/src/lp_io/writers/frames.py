"""What the rows of a table are of."""

from lp_core import PoseTable


def frame_numbers(table: PoseTable) -> tuple[int, ...] | None:
    """The numbers of the rows' frames in their video; None if the rows are single images."""
    numbers = tuple(name for name in table.index if isinstance(name, int))
    return numbers if len(numbers) == len(table.index) else None
