"""Randomness as a function of (seed, step, purpose): a step can be repeated, so a killed run can be continued exactly."""

import hashlib


def step_seed(seed: int, step: int, purpose: int) -> int:
    """A 63-bit seed, well mixed, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{step}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
