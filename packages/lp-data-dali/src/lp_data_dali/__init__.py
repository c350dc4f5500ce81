"""Clips of unlabeled video through NVIDIA DALI; the only package that knows DALI."""

from lp_data_dali.config import DaliClipsConfig

__all__ = ["DaliClipsConfig"]
