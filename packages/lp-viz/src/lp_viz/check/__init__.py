"""Whether labels can be trained on, and which of them look wrong. No torch."""

from lp_viz.check.finding import KINDS, Finding
from lp_viz.check.pictures import write_pictures
from lp_viz.check.report import table_of, write_findings
from lp_viz.check.run import Checked, check_labels, labels_to_check

__all__ = [
    "KINDS",
    "Checked",
    "Finding",
    "check_labels",
    "labels_to_check",
    "table_of",
    "write_findings",
    "write_pictures",
]
