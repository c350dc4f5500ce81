"""Freed memory goes back to the system."""

import ctypes
import os
import sys
from pathlib import Path

import pytest
from lp_io.memory import hand_back_freed_memory

PAGES, SIZE = 2000, 4096


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be asked")
def test_blocks_between_others_are_handed_back():
    c = ctypes.CDLL(None)
    if not hasattr(c, "malloc_trim"):
        pytest.skip("this C library cannot be asked")
    c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    hand_back_freed_memory()
    blocks = [c.malloc(8 * SIZE) for _ in range(PAGES)]
    for block in blocks:
        ctypes.memset(block, 1, 8 * SIZE)
    full = resident()
    for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
        c.free(block)
    hand_back_freed_memory()
    assert full - resident() > 0.8 * PAGES * 8 * SIZE
    c.free(blocks[-1])


def test_other_systems_are_not_asked(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert hand_back_freed_memory() is False
