"""A synthetic scene with ground truth for every frame: the project's own demo data, made in seconds, never downloaded."""

from lp_data.scene.demo import NAMES, Session, make_demo
from lp_data.scene.options import SceneOptions
from lp_data.scene.several import Arena

__all__ = ["NAMES", "Arena", "SceneOptions", "Session", "make_demo"]
