"""Figures of a training, as PNG files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from lp_core import DataError
from lp_io import atomic_path
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lp_viz.colors import keypoint_colors

STAGES = {"train": "#0072B2", "val": "#D55E00", "test": "#009E73"}
DEEPLABCUT = {"losses/train.": "train_", "losses/eval.": "val_", "metrics/test.": "val_"}  # it validates on test frames
Series = tuple[list[float], list[float]]


def learning_curves(metrics: Path | str, out: Path | str) -> Path:
    """Draw every number in a `metrics.csv` of Lightning over its epochs; training and validation share an axis.

    DeepLabCut's `learning_stats.csv` is drawn in the same way.

    Raises:
        DataError: the file is missing, or has no epoch column, or holds no numbers.
    """
    series = read_metrics(metrics)
    panels: dict[str, dict[str, Series]] = {}
    for name, values in series.items():
        stage, _, rest = name.partition("_")
        panels.setdefault(rest if stage in STAGES and rest else name, {})[name] = values
    figure, axes = _axes(len(panels))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for name, (epochs, values) in lines.items():
            stage = name.partition("_")[0]
            look = {"color": STAGES.get(stage, "#444444"), "marker": "o" if len(epochs) == 1 else None}
            axis.plot(epochs, values, label=stage if stage in STAGES else None, **look)
        _finish(axis, title, "epoch", [v for _, values in lines.values() for v in values])
        if any(name.partition("_")[0] in STAGES for name in lines):
            axis.legend(frameon=False)
    return _save(figure, out)


def read_metrics(path: Path | str) -> dict[str, Series]:
    """Columns of a `metrics.csv` as (epochs, values): empty cells left out, several rows of one epoch averaged.

    In DeepLabCut's `learning_stats.csv` steps are epochs; its columns get our names (`losses/train.x` is `train_x`, what it
    computes on its test frames `val_x`).
    """
    try:
        with Path(path).open(newline="") as file:
            rows = [_as_ours(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; train first.") from None
    if not rows or "epoch" not in rows[0]:
        raise DataError(f"{path} is not a table of metrics: it needs a column `epoch` and at least one row.")
    found: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        for name, cell in row.items():
            if name not in ("epoch", "step") and cell and row["epoch"]:
                found.setdefault(name, {}).setdefault(float(row["epoch"]), []).append(float(cell))
    if not found:
        raise DataError(f"{path} holds no metric; train for at least one epoch.")
    return {name: (sorted(v), [float(np.mean(v[e])) for e in sorted(v)]) for name, v in sorted(found.items())}


def _as_ours(row: dict[str, str]) -> dict[str, str]:
    """A row of DeepLabCut's table under our names, any other as it is."""
    if "epoch" in row or not any(name.startswith(tuple(DEEPLABCUT)) for name in row):
        return row
    renamed = {"epoch": row.get("step", "")}
    for name, cell in row.items():
        start = next((start for start in DEEPLABCUT if name.startswith(start)), "")
        renamed[DEEPLABCUT.get(start, "") + name.removeprefix(start)] = "" if cell == "nan" else cell
    return renamed


def error_plot(
    errors: Float[np.ndarray, "frames keypoints"],
    names: Sequence[str],
    out: Path | str,
    split: Sequence[str] | None = None,
) -> Path:
    """Draw the pixel error of each keypoint: every frame a dot, the median a line; one panel per part of the split.

    Args:
        errors: in pixels of the original frame; NaN = not labeled.
        names: of the keypoints.
        out: the PNG file.
        split: the part each frame belongs to.
    """
    parts = list(dict.fromkeys(split)) if split else ["all frames"]
    figure = Figure(figsize=(max(6, 0.5 * len(names) + 2), 3 * len(parts)), layout="constrained")
    axes = figure.subplots(len(parts), 1, squeeze=False, sharex=True)[:, 0]
    for axis, part in zip(axes, parts, strict=True):
        rows = errors[np.array(split) == part] if split else errors
        _strips(axis, rows)
        _finish(axis, f"{part} ({len(rows)} frames)", "", rows[np.isfinite(rows)].tolist())
        axis.set_ylabel("error (pixels)")
    axes[-1].set_xticks(range(len(names)), list(names), rotation=45, ha="right")
    return _save(figure, out)


def _strips(axis: Axes, rows: Float[np.ndarray, "frames keypoints"]) -> None:
    jitter = np.random.default_rng(0).uniform(-0.2, 0.2, len(rows))
    for number, color in enumerate(keypoint_colors(rows.shape[1])):
        values = rows[:, number]
        fill = "#" + "".join(f"{c:02x}" for c in color)
        axis.scatter(number + jitter, values, s=12, color=fill, alpha=0.6, linewidths=0)
        if np.isfinite(values).any():
            axis.hlines(np.nanmedian(values), number - 0.35, number + 0.35, color="black", linewidth=1.5)


def _axes(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.5 * columns, 3 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _finish(axis: Axes, title: str, below: str, values: list[float]) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(below)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    if values and min(values) > 0 and max(values) > 30 * min(values):
        axis.set_yscale("log")


def _save(figure: Figure, out: Path | str) -> Path:
    FigureCanvasAgg(figure)
    with atomic_path(out) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    return Path(out)
