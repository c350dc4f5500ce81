"""Feature extractors on timm. Importing this module loads neither torch nor timm; `build` does."""

from lp_backbones.config import TimmConfig

__all__ = ["TimmConfig"]
