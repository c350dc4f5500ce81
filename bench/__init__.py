"""Ratios against Lightning Pose's published wheel, on this machine, in one run: `nox -s bench`."""
