"""lpose check data.root=PROJECT [out=DIR] [key=value …]

Looks for mistakes in the labels of a project before anything is trained on it: labels far from where the other labels of
the frame expect them, left and right swapped, labels outside the image, two keypoints on one spot, the same picture
twice, images that cannot be read, frames and keypoints without labels, and validation or test frames that look almost
like a training frame.
Prints a table, and writes findings.csv and a picture of each kind of finding into DIR, which is PROJECT/check if not
given. Labels and images are never changed. The exit status is 0 whatever is found, and 2 if the labels cannot be read.

  data.format=auto  data.labels=FILE                              as in lpose train
  data.split.train=0.8  data.split.val=0.1  data.split.seed=0     the split to look at, as in lpose train
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lp_core import ConfigError, nearest

from lp_apps.options import parse

if TYPE_CHECKING:
    from lp_core import LabelSet

KNOWN = {"root": str, "format": str, "labels": str, "split.train": float, "split.val": float, "split.seed": int}


@dataclass
class Options:
    """What `lpose check` takes."""

    out: str | None = None
    data_options: dict[str, Any] = field(default_factory=dict)


def run(words: list[str]) -> None:
    """Check, print the table and write what was found."""
    from lp_viz.check import check_labels, labels_to_check, table_of, write_findings, write_pictures

    options = parse(words, Options)
    data = _data(options.data_options)
    labels = labels_to_check(data["root"], data.get("format", "auto"), data.get("labels"))
    out = Path(options.out or Path(data["root"]) / "check")
    checked = check_labels(labels, _parts(labels, data))
    count = int((labels.visibility > 0).sum())
    print(f"{labels.source}: {len(labels)} frames, {len(labels.keypoint_names)} keypoints, {count} labels")
    print(table_of(labels, checked.findings) or "nothing found")
    for clause in checked.skipped:
        print(f"not checked: {clause}")
    table = write_findings(out / "findings.csv", labels, checked.findings)
    pictures = write_pictures(labels, checked.findings, out)
    print(f"{table}{''.join(f', {picture.name}' for picture in pictures)}")


def _data(given: dict[str, Any]) -> dict[str, Any]:
    """The options data.…, checked."""
    for key, value in given.items():
        if key not in KNOWN:
            known = [f"data.{name}" for name in KNOWN]
            raise ConfigError(
                f"There is no option 'data.{key}'{nearest(f'data.{key}', known)} There are {', '.join(known)}."
            )
        wanted = KNOWN[key]
        if not isinstance(value, (int, float) if wanted is float else wanted) and wanted is not str:
            raise ConfigError(f"data.{key}={value} must be of type {wanted.__name__}.")
    if "root" not in given:
        raise ConfigError("data.root=… must be given: the directory of a labeled project.")
    return given | {key: str(value) for key, value in given.items() if KNOWN[key] is str}


def _parts(labels: "LabelSet", data: dict[str, Any]) -> list[str] | None:
    """For each row the part of the split that `lpose train` would put it in; None where it would refuse."""
    from lp_data import split_indices

    shares = {name: data[f"split.{name}"] for name in ("train", "val", "seed") if f"split.{name}" in data}
    try:
        split = split_indices(len(labels), **shares)
    except ConfigError as e:
        if shares:
            raise
        print(f"not checked: the split, because {e}")
        return None
    parts = ["unused"] * len(labels)
    for name, rows in (("train", split.train), ("validation", split.val), ("test", split.test)):
        for row in rows:
            parts[row] = name
    return parts
