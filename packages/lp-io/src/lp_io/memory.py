"""Memory that was freed goes back to the system."""

import ctypes
import sys


def hand_back_freed_memory() -> bool:
    """Ask the C library to hand freed memory back to the system now, and say whether it did.

    glibc keeps freed blocks that lie between others, for instance those with which FFmpeg made its table of an mp4. It
    takes a millisecond; what the program needs again is faulted in anew.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    return trim is not None and bool(trim(0))
