"""The findings as a printed table and as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from lp_core import LabelSet
from lp_io import atomic_path

from lp_viz.check.finding import KINDS, Finding

COLUMNS = (
    "severity", "kind", "image", "other_image", "keypoint", "x", "y", "expected_x", "expected_y", "value", "what", "remedy",
)  # fmt: skip


def table_of(labels: LabelSet, findings: Sequence[Finding]) -> str:
    """One row per kind: how many, the strongest one, and below it what to do."""
    rows = []
    for kind, (severity, remedy) in KINDS.items():
        found = [finding for finding in findings if finding.kind == kind]
        if found:
            first = found[0]
            image = f"{labels.images[first.row]}: " if first.row is not None else ""
            rows.append(f"{severity:8} {kind:15} {len(found):5}  {image}{first.what}")
            rows.append(f"{'':31}→ {remedy}")
    return "\n".join([f"{'severity':8} {'kind':15} {'found':>5}  the strongest", *rows]) if rows else ""


def write_findings(path: Path, labels: LabelSet, findings: Sequence[Finding]) -> Path:
    """A row per finding, and per keypoint it is about; positions in pixels of the image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for finding in findings:
        writer.writerows(_rows(labels, finding))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return path


def _rows(labels: LabelSet, finding: Finding) -> list[list[str]]:
    image = labels.images[finding.row] if finding.row is not None else ""
    other = labels.images[finding.other] if finding.other is not None else ""
    start, end = (
        [finding.severity, finding.kind, image, other],
        [_number(finding.value), finding.what, KINDS[finding.kind][1]],
    )
    if not finding.keypoints:
        return [[*start, "", "", "", "", "", *end]]
    rows = []
    for n, k in enumerate(finding.keypoints):
        x_y = map(_number, labels.keypoints[finding.row, k]) if finding.row is not None else ("", "")
        place = map(_number, finding.expected[n]) if finding.expected is not None else ("", "")
        rows.append([*start, labels.keypoint_names[k], *x_y, *place, *end])
    return rows


def _number(value: float) -> str:
    return f"{float(value):.2f}" if value == value else ""
