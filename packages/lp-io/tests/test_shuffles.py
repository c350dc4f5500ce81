"""DeepLabCut's shuffles: read whatever NumPy and Python wrote them, and never run."""

import pickle

import numpy as np
import pytest
from lp_core import DataError
from lp_io import read_shuffle

TRAIN, TEST = [0, 3, 5], [1, 2, 4]
DATA = [
    {
        "image": ("labeled-data", "v", "img0.png"), "size": np.array([3, 10, 12]),
        "joints": {"m1": np.array([[0, 1.5, 2.5]]), "m2": np.array([[0, None]], dtype=object)},
    }
]  # fmt: skip
KINDS = {
    "lists": list,
    "arrays": np.array,
    "scalars": lambda rows: [np.int64(row) for row in rows],
    "int32 big endian": lambda rows: np.array(rows, dtype=">i4"),
    "not contiguous": lambda rows: np.repeat(np.array(rows), 2)[::2],
    "filled up": lambda rows: np.array([*rows, -1, -1]),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_what_numpy_pickles(tmp_path, kind, protocol):
    content = [DATA, KINDS[kind](TRAIN), KINDS[kind](TEST), np.float64(0.5)]
    (tmp_path / "d.pickle").write_bytes(pickle.dumps(content, protocol))
    assert read_shuffle(tmp_path / "d.pickle") == (TRAIN, TEST)


def test_names_of_older_numpy(tmp_path):
    """NumPy 2 calls `numpy.core` `numpy._core`; files of NumPy 1 have the old name."""
    text = pickle.dumps([[], np.array(TRAIN), np.array(TEST), 0.5], 0)
    assert b"numpy._core." in text
    (tmp_path / "d.pickle").write_bytes(text.replace(b"numpy._core.", b"numpy.core."))
    assert read_shuffle(tmp_path / "d.pickle") == (TRAIN, TEST)


class Evil:
    def __init__(self, function, *words):
        self.call = function, words

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_code_is_refused(tmp_path, protocol):
    victim = tmp_path / "ran"
    for evil in (Evil(victim.touch), Evil(eval, "1+1"), Evil(np.load, "x"), Evil(getattr, "x", "upper")):
        (tmp_path / "d.pickle").write_bytes(pickle.dumps([[evil], TRAIN, TEST, 0.5], protocol))
        with pytest.raises(DataError, match=r"is not a shuffle that DeepLabCut wrote \(it asks for") as error:
            read_shuffle(tmp_path / "d.pickle")
        assert "\n" not in str(error.value) and not victim.exists()


def test_what_is_no_shuffle_is_one_sentence(tmp_path):
    path = tmp_path / "d.pickle"
    with pytest.raises(DataError, match="does not exist"):
        read_shuffle(path)
    for content in ([], {"a": 1}, [[], [0.5], [1]], [[], "ab", [1]], 3):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="is not a shuffle"):
            read_shuffle(path)
    path.write_bytes(b"\x80\x04garbage")
    with pytest.raises(DataError, match="is not a shuffle"):
        read_shuffle(path)
