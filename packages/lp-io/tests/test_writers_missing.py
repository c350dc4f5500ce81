"""A layout whose library is not installed says what to do, before anything is predicted."""

import sys

import pytest
from lp_core import ConfigError, table_writers


@pytest.mark.parametrize(
    ("name", "module", "package", "extra"),
    [
        ("parquet", "pyarrow", "pyarrow", "parquet"),
        ("slp", "sleap_io", "sleap-io", "sleap"),
        ("nwb", "pynwb", "pynwb", "nwb"),
    ],
)
def test_a_missing_library_is_one_sentence(name, module, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        table_writers[name]().build()
    assert str(caught.value) == f"format={name} needs the package {package}; pip install 'lp-io[{extra}]'."


def test_h5_and_coco_need_nothing_further():
    assert {name for name in table_writers if name in ("h5", "coco")} == {"h5", "coco"}
    assert table_writers["h5"]().build().suffix == ".h5" and table_writers["coco"]().build().suffix == ".json"
