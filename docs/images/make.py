"""The drawings of the explanations, from the demo's scene.

    python docs/images/make.py [FOLDER] [--quick]

writes into FOLDER, the folder of this file if not given. --quick takes a shorter session.
"""

import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from lp_core import Resize
from lp_data.scene import NAMES, SceneOptions, Session
from lp_losses import PoseSubspace, temporal_norm
from PIL import Image
from torch import from_numpy

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RIGHT, WRONG, GIVEN, SEEN = "#0072b2", "#d55e00", "#555555", "#56b4e9"  # differ for people with colour blindness too
PAW, OTHER = NAMES.index("paw_hind_left_top"), NAMES.index("paw_hind_right_top")
EPSILON = 8.0  # pixels
Poses = Float[np.ndarray, "frames keypoints 2"]


def session(frames: int) -> tuple[UInt8[np.ndarray, "height width 3"], Poses]:
    """One frame of the demo's session, and the truth about all of them, in original pixels."""
    made = Session(SceneOptions(frames=frames, labeled=1), ood=False)
    painter = made.painter()
    return painter.frame(frames // 2)[0], made.truth(painter)


def jumps(truth: Poses) -> Figure:
    """What the temporal loss counts: a paw that is taken for the other one in three frames."""
    start = int(np.linalg.norm(truth[:-4, PAW] - truth[:-4, OTHER], axis=-1).argmax())  # where they are far apart
    wrong = truth.copy()
    wrong[start : start + 3, PAW] = truth[start : start + 3, OTHER]
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.2), sharex=True, layout="constrained")
    above.plot(truth[:, PAW, 0], color=RIGHT, label="the paw")
    above.plot(wrong[:, PAW, 0], color=WRONG, ls="--", label="a prediction that takes the other paw in three frames")
    steps = temporal_norm(from_numpy(wrong[:, [PAW]]))[:, 0].numpy()
    frames = np.arange(1, len(truth))
    below.vlines(frames, 0, steps, color=GIVEN, lw=1)
    below.vlines(frames, EPSILON, np.maximum(steps, EPSILON), color=WRONG, lw=3, label="what the loss adds up")
    below.axhline(EPSILON, color=RIGHT, lw=1, label=f"epsilon = {EPSILON:g} px")
    above.set_ylabel("x, pixels")
    below.set(xlabel="frame", ylabel="movement, pixels", xlim=(max(0, start - 25), min(len(truth), start + 30)))
    for axes in (above, below):
        axes.legend(fontsize=8, loc="upper right", frameon=False)
        axes.margins(y=0.35)
    return figure


def mirrored(image: UInt8[np.ndarray, "height width 3"], truth: Poses) -> Figure:
    """Where the multi-view loss pulls a nose that is wrong in one view."""
    half, nose = len(NAMES) // 2, NAMES.index("nose_top")
    space = PoseSubspace(np.stack([np.arange(half), np.arange(half, 2 * half)], 1), keep=3)
    space.fit(truth)
    wrong = truth[[len(truth) // 2]].copy()
    wrong[0, nose] += (34, -22)
    near = space.reconstruct(wrong)
    figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
    axes.imshow(image)
    for k, name in ((nose, "nose, direct view"), (nose + half, "nose, in the mirror")):
        _arrow(axes, wrong[0, k], near[0, k])
        axes.annotate(name, wrong[0, k], (0, 12), textcoords="offset points", color="white", fontsize=8, ha="center")
    axes.plot(*truth[len(truth) // 2].T, "o", ms=4, mfc=SEEN, mec="black", label="true positions")
    axes.plot(*wrong[0, [nose, nose + half]].T, "X", ms=9, mfc=WRONG, mec="white", label="prediction")
    axes.plot([], [], color="white", lw=2, label="to the nearest pair that one point in space can give")
    axes.legend(fontsize=8, loc="lower left", labelcolor="white", facecolor="black", framealpha=0.6)
    axes.set_axis_off()
    return figure


def _arrow(axes: Axes, start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "white", "lw": 2})


def pixels() -> Figure:
    """A row of eight pixels, and the three that it is resized to."""
    resize = Resize((1, 8), (1, 3))
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    for count, height, name, color in ((8, 1.0, "original: 8 pixels", RIGHT), (3, 0.0, "input: 3 pixels", WRONG)):
        width = 8 / count
        for i in range(count):
            axes.add_patch(plt.Rectangle((i * width, height), width, 0.6, fill=False, ec=color, lw=1.5))
            axes.plot((i + 0.5) * width, height + 0.3, "o", ms=3, color=color)
            axes.text((i + 0.5) * width, height + 0.42, f"{i}", ha="center", fontsize=9, color=color)
        axes.text(-0.15, height + 0.3, name, ha="right", va="center", fontsize=9, color=color)
        axes.text(0, height - 0.14, "−0.5", ha="center", fontsize=8, color=color)
        axes.text(8, height - 0.14, f"{count - 0.5}", ha="center", fontsize=8, color=color)
    there = float(resize.forward(np.array([[5.0, 0.0]]))[0, 0])
    axes.plot([5.5, 5.5], [0.3, 1.3], color=GIVEN, lw=1, ls=":")
    axes.text(5.4, 0.78, f"5 in the original is {there:.2f} in the input", ha="right", fontsize=8, color=GIVEN)
    axes.set(xlim=(-2.4, 8.4), ylim=(-0.3, 1.7))
    axes.set_axis_off()
    return figure


def save(figure: Figure, path: Path) -> None:
    """As a small file."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=130)
    plt.close(figure)
    with Image.open(drawn) as picture:
        picture.convert("RGB").save(path, optimize=True, quality=85)


def main(words: list[str]) -> None:
    """Make all drawings."""
    quick = "--quick" in words
    folder = next((Path(word) for word in words if not word.startswith("--")), Path(__file__).parent)
    image, truth = session(60 if quick else 300)
    save(jumps(truth), folder / "jumps.png")
    save(mirrored(image, truth), folder / "mirrored.jpg")
    save(pixels(), folder / "pixels.png")


if __name__ == "__main__":
    main(sys.argv[1:])
