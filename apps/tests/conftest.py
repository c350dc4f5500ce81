"""For every test."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Shells start background jobs deaf to Ctrl-C, and what these start inherits it; CI may be such a job."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
