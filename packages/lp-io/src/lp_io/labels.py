"""Read labels of any installed layout, and check them against the images."""

from collections import Counter
from glob import escape
from pathlib import Path

import numpy as np
from lp_core import DataError, LabelSet, PluginError, label_formats

from lp_io.formats.coco import has_annotations
from lp_io.formats.deeplabcut import TABLE
from lp_io.formats.ood import OOD
from lp_io.images import image_size

HALF = 0.5  # an image of width W covers [-0.5, W - 0.5]


def read_labels(root: Path | str, format: str = "auto", file: str | None = None) -> LabelSet:
    """Read and check the labeled project in `root`.

    Args:
        root: project directory.
        format: a name in `lp.label_formats`; auto takes the first that recognises the directory.
        file: the label file in `root`, where there are several.

    Raises:
        DataError: no project, or labels that do not fit their images, in one sentence.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a directory; give the directory of a labeled project.")
    name = detect_format(root) if format == "auto" else format
    labels = label_formats[name]().build().read(root, file)
    check_labels(labels)
    return labels


def ood_label_files(labels: LabelSet) -> list[Path]:
    """Label files that are never trained on: `<stem>_new.csv` and `<stem>_test.csv` beside the labels; in a DeepLabCut
    project, tables of those names in any folder of `labeled-data/`; `test.json` beside COCO's `train.json`.
    """
    if labels.source.name == "train.json":
        return [p for p in [labels.source.with_name("test.json")] if has_annotations(p)]
    stem, folder = labels.source.with_suffix(""), labels.root / "labeled-data"
    if folder in (labels.source, *labels.source.parents):
        return [p for suffix in OOD for p in sorted(folder.glob(f"*/{TABLE}{escape(labels.scorer)}{suffix}.csv"))]
    return [p for suffix in OOD if (p := stem.with_name(f"{stem.name}{suffix}.csv")).exists()]


def detect_format(root: Path) -> str:
    """The first layout that recognises `root`.

    Raises:
        DataError: none does.
    """
    for name in label_formats:
        try:
            if label_formats[name]().build().detect(root):
                return name
        except PluginError:
            continue  # lpose plugins says what is wrong with it
    raise DataError(
        f"{root} is not a labeled project of a known layout ({', '.join(label_formats)}); "
        "it needs a CollectedData.csv, a DeepLabCut config.yaml, a COCO JSON or a .slp."
    )


def check_labels(labels: LabelSet) -> None:
    """Images are there, and labels inside them.

    Raises:
        DataError: they are not.
    """
    if not len(labels):
        raise DataError(f"{labels.source} has no labeled frame.")
    image, count = Counter(labels.images).most_common(1)[0]
    if count > 1:
        raise DataError(f"{labels.source} lists {image} {count} times; keep one row per image.")
    sizes = np.array([image_size(labels.root / name) for name in labels.images])  # (height, width)
    limit = sizes[:, None, ::-1] - HALF
    outside = ((labels.keypoints < -HALF) | (labels.keypoints > limit)).any(-1)
    if outside.any():
        row, k = np.argwhere(outside)[0]
        x, y = labels.keypoints[row, k]
        height, width = sizes[row]
        raise DataError(
            f"{labels.source}: {labels.keypoint_names[k]} in {labels.images[row]} is at ({x:g}, {y:g}), "
            f"outside the image of {width}×{height} pixels; correct the label or empty its cells."
        )
    if not (labels.visibility > 0).any():
        raise DataError(f"{labels.source} has no labeled keypoint: every cell is empty.")
