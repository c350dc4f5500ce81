"""One HTML file about one trained run, or about several compared. No server, no network, no torch."""

from lp_viz.report.page import write_comparison, write_report

__all__ = ["write_comparison", "write_report"]
