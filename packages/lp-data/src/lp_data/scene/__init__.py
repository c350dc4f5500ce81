"""A synthetic scene with ground truth for every frame: the project's own demo data, made in seconds, never downloaded."""

from lp_data.scene.demo import NAMES, SceneOptions, Session, make_demo

__all__ = ["NAMES", "SceneOptions", "Session", "make_demo"]
