"""Where files go that can be made again."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """`lp/NAME` in the user's cache folder (XDG_CACHE_HOME is respected); made if absent."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lp" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
