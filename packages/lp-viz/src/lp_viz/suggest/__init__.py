"""Which frames of unlabeled video to label next. No torch."""

from lp_viz.suggest.evidence import CRITERIA, Evidence, evidence_of
from lp_viz.suggest.labeled import Labeled, labeled_frames
from lp_viz.suggest.layouts import LAYOUTS, LabelingSet, check_layout
from lp_viz.suggest.report import table_of, write_contact_sheet, write_table
from lp_viz.suggest.run import Suggestion, suggest

__all__ = [
    "CRITERIA",
    "LAYOUTS",
    "Evidence",
    "Labeled",
    "LabelingSet",
    "Suggestion",
    "check_layout",
    "evidence_of",
    "labeled_frames",
    "suggest",
    "table_of",
    "write_contact_sheet",
    "write_table",
]
