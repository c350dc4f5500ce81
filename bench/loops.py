"""Targets, and the way back, as a plain loop over frames, animals and keypoints with NumPy maps: the named baseline."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.optimize import linear_sum_assignment

from bench.clock import report
from bench.scene import LOCREF_STD, RADIUS, WIDTH, Scene

SIGMA, FLOOR, SAMPLES, MIN_AFFINITY, PEAK = 2 * RADIUS / 3, 1e-4, 10, 0.05, 0.1
Maps = dict[str, np.ndarray]


def grid(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centre of every cell, in pixels."""
    rows, columns = np.mgrid[: scene.cells[0], : scene.cells[1]].astype(np.float32)
    return (columns + 0.5) * scene.stride - 0.5, (rows + 0.5) * scene.stride - 0.5


def score_maps(scene: Scene, points: np.ndarray, kind: str) -> Maps:
    """Score maps and offsets to the nearest keypoint."""
    x, y = grid(scene)
    shape = (len(points), scene.parts, *scene.cells)
    scores, offsets = np.zeros(shape, np.float32), np.zeros((*shape[:2], 2, *shape[2:]), np.float32)
    weights = np.zeros_like(offsets)
    for b, k in product(range(len(points)), range(scene.parts)):
        nearest = np.full(scene.cells, np.inf)
        for px, py in points[b, :, k]:
            way = np.stack([px - x, py - y])
            distance = np.hypot(*way)
            own = distance < nearest
            nearest[own] = distance[own]
            own &= distance <= RADIUS
            offsets[b, k][:, own] = way[:, own] / LOCREF_STD
            weights[b, k][:, own] = 1
        value = np.exp(-(nearest**2) / (2 * SIGMA**2)) if kind == "gaussian" else (nearest <= RADIUS)
        scores[b, k] = np.where(value > FLOOR, value, 0)
    return {"scoremaps": scores, "locref": offsets, "locref_weight": weights}


def fields(scene: Scene, points: np.ndarray) -> Maps:
    """Part affinity fields; the nearest limb has a cell."""
    x, y = grid(scene)
    out = np.zeros((len(points), len(scene.edges), 2, *scene.cells), np.float32)
    for b, (e, (first, second)) in product(range(len(points)), enumerate(scene.edges)):
        nearest = np.full(scene.cells, np.inf)
        for animal in points[b]:
            way = animal[second] - animal[first]
            length = np.hypot(*way)
            ux, uy = way / max(length, 1e-6)
            dx, dy = x - animal[first, 0], y - animal[first, 1]
            along, across = dx * ux + dy * uy, np.abs(dx * uy - dy * ux)
            near = (along >= -scene.stride) & (along <= length + scene.stride)
            own = near & (across <= WIDTH) & (across < nearest)
            nearest[own] = across[own]
            out[b, e][:, own] = np.array([[ux], [uy]]) * (1 - across[own] / WIDTH)
    return {"paf": out}


def dekr(scene: Scene, points: np.ndarray) -> Maps:
    """DEKR's score maps of parts and centres, and offsets round the centres; the smaller animal has a cell."""
    cells = (points + 0.5) / scene.stride - 0.5
    y, x = np.mgrid[: scene.cells[0], : scene.cells[1]].astype(np.float32)
    scores = np.zeros((len(points), scene.parts + 1, *scene.cells), np.float32)
    offsets = np.zeros((len(points), scene.parts, 2, *scene.cells), np.float32)
    weights, radius = np.zeros_like(offsets), RADIUS / scene.stride
    for b in range(len(points)):
        smallest = np.full(scene.cells, np.inf)
        for animal in cells[b]:
            centre = animal.mean(0)
            for k, (px, py) in enumerate([*animal, centre]):
                sigma = radius if k == scene.parts else radius / 2
                near = (np.abs(x - px) <= 3 * sigma) & (np.abs(y - py) <= 3 * sigma)
                value = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) * near
                scores[b, k] = np.maximum(scores[b, k], value)
            area = np.prod(np.maximum(np.ptp(animal, axis=0), radius))
            own = (np.abs(x - centre[0]) <= radius) & (np.abs(y - centre[1]) <= radius) & (area < smallest)
            smallest[own] = area
            for k, (px, py) in enumerate(animal):
                offsets[b, k][:, own] = np.stack([x[own] - px, y[own] - py])
                weights[b, k][:, own] = area**-0.5
    return {"scoremaps": scores, "offsets": offsets, "offsets_weight": weights}


def grouping(scene: Scene, maps: Maps) -> np.ndarray:
    """Score maps, offsets and fields → (batch, animals, parts, 2), one pair of peaks after the other; NaN = none."""
    out = np.full((len(maps["scoremaps"]), scene.animals, scene.parts, 2), np.nan)
    for b, scores in enumerate(maps["scoremaps"]):
        peaks = [_peaks(scene, scores[k], maps["locref"][b, k]) for k in range(scene.parts)]
        links = []
        for e, edge in enumerate(scene.edges):
            links += _links(scene, maps["paf"][b, e], edge, peaks)
        for animal, group in enumerate(_groups(sorted(links, reverse=True), scene.animals)):
            for part, peak in group.items():
                out[b, animal, part] = peaks[part][peak]
    return out


def _peaks(scene: Scene, scores: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """Positions in pixels of the local maxima; of equal ones that touch, the one nearest to its keypoint."""
    rank = scores - 1e-3 * np.hypot(*offsets)
    rows, columns = np.nonzero((rank == maximum_filter(rank, 5)) & (scores > PEAK))
    places = []
    for r, c in zip(rows, columns, strict=True):
        place = (np.array([c, r]) + 0.5) * scene.stride - 0.5
        places.append(place + LOCREF_STD * offsets[:, r, c])
    return places


def _links(
    scene: Scene, field: np.ndarray, edge: tuple[int, int], peaks: list[list[np.ndarray]]
) -> Iterator[tuple[float, tuple[int, int], tuple[int, int]]]:
    """Affinity, and (part, peak) of both ends, of the pairs with the largest sum."""
    first, second = edge
    affinity = np.zeros((len(peaks[first]), len(peaks[second])))
    for i, j in product(*map(range, affinity.shape)):
        way = peaks[second][j] - peaks[first][i]
        length = max(float(np.hypot(*way)), 1e-6)
        total = 0.0
        for step in np.linspace(0, 1, SAMPLES):
            column, row = np.round((peaks[first][i] + step * way + 0.5) / scene.stride - 0.5).astype(int)
            row, column = min(max(row, 0), field.shape[1] - 1), min(max(column, 0), field.shape[2] - 1)
            total += float(field[:, row, column] @ way) / length
        affinity[i, j] = total / SAMPLES
    for i, j in zip(*linear_sum_assignment(-affinity), strict=True):
        if affinity[i, j] >= MIN_AFFINITY:
            yield float(affinity[i, j]), (first, int(i)), (second, int(j))


def _groups(links: list[tuple[float, tuple[int, int], tuple[int, int]]], most: int) -> list[dict[int, int]]:
    """The largest groups (part → peak), joined by the links in order unless both have the same part."""
    of: dict[tuple[int, int], dict[int, int]] = {}
    for _, *ends in links:
        one, other = (of.setdefault(end, dict([end])) for end in ends)
        if one is other or one.keys() & other.keys():
            continue
        one.update(other)
        of.update(dict.fromkeys(other.items(), one))
    distinct = {id(group): group for group in of.values()}.values()
    return sorted(distinct, key=len, reverse=True)[:most]


def function_of(kind: str, scene: Scene) -> Callable[[], object]:
    """What is timed."""
    points = scene.points()
    if kind == "grouping":
        maps = score_maps(scene, points, "plateau") | fields(scene, points)
        return lambda: grouping(scene, maps)
    if kind in ("gaussian", "plateau"):
        return lambda: score_maps(scene, points, kind)
    return partial({"paf": fields, "dekr": dekr}[kind], scene, points)


if __name__ == "__main__":
    report(function_of)
