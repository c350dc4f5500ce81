"""Feature extractors for pose models, on timm. timm is imported when a backbone is built."""

from lp_backbones.config import TimmConfig

__all__ = ["TimmConfig"]
