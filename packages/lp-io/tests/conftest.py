"""What every test of this room has."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data() -> Path:
    folder = Path(os.environ.get("LP_TEST_DATA", Path(__file__).parents[3] / "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set LP_TEST_DATA to the folder with the real data")
    return folder
