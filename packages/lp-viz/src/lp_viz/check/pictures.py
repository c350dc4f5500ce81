"""A contact sheet for each kind of finding, with the labels, and where they should be, drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lp_core import DataError, LabelSet
from lp_io import read_image

from lp_viz.check.finding import Finding
from lp_viz.check.tiles import Picture, Tile, box_round, captioned, tile_of, write_sheet
from lp_viz.colors import pose_colors
from lp_viz.draw import dot, line, mixed, ring, word

PICTURED = ("conflict", "swap", "outlier", "outside", "identical", "duplicate", "leakage")
MOST = 20  # findings of a kind that are drawn
RED = (255, 60, 60)
RADIUS = 2.5


def write_pictures(labels: LabelSet, findings: Sequence[Finding], out: Path) -> list[Path]:
    """`<kind>.png` in `out` for every kind that can be shown; the strongest findings of each."""
    written = []
    for kind in PICTURED:
        shown = [finding for finding in findings if finding.kind == kind][:MOST]
        tiles = [tile for finding in shown if (tile := picture_of(labels, finding)) is not None]
        if tiles:
            written.append(write_sheet(out / f"{kind}.png", tiles))
    return written


def picture_of(labels: LabelSet, finding: Finding) -> Picture | None:
    """One finding: its frame, and the second frame beside it if there is one; None if an image cannot be read."""
    rows = [row for row in (finding.row, finding.other) if row is not None]
    try:
        pictures = [_frame(labels, finding, row) for row in rows]
    except DataError:
        return None
    return captioned(pictures, [", ".join(labels.images[row] for row in rows), finding.what])


def _frame(labels: LabelSet, finding: Finding, row: int) -> Picture:
    pose, about = labels.keypoints[row], list(finding.keypoints)
    image = read_image(labels.root / labels.images[row])
    places = (
        finding.expected if finding.expected is not None and row == finding.row else np.full((len(about), 2), np.nan)
    )
    whole = finding.other is not None or not about
    shown = np.concatenate([_same_animal(labels, pose, about), places])
    tile = tile_of(image, None if whole else box_round(shown, image))
    _draw(tile, labels, pose, about, places)
    return tile.picture


def _same_animal(labels: LabelSet, pose: np.ndarray, about: list[int]) -> np.ndarray:
    if labels.animals is None or not about or about[0] >= labels.animals.owned:
        return pose
    count = len(labels.animals.parts)
    start = about[0] // count * count
    return pose[start : start + count]


def _draw(tile: Tile, labels: LabelSet, pose: np.ndarray, about: list[int], places: np.ndarray) -> None:
    """All labels small; those the finding is about in rings with their names; a red ring where they should be."""
    colors, at = pose_colors(labels.keypoint_names, len(pose)), tile.places(pose)
    for a, b in labels.skeleton:
        line(tile.picture, at[[a, b]], mixed(colors[a], colors[b]), 1.0, 0.6)
    for point, color in zip(at, colors, strict=True):
        dot(tile.picture, point, color, RADIUS)
    for k, target in zip(about, tile.places(places), strict=True):
        line(tile.picture, np.stack([at[k], target]), RED, 1.0)
        ring(tile.picture, target, RED, 2.6 * RADIUS)
    for k in about:
        ring(tile.picture, at[k], colors[k], 2.6 * RADIUS)
        word(tile.picture, labels.keypoint_names[k], at[k] + 3.0 * RADIUS, colors[k])
