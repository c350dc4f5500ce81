"""Ratios against Lightning Pose's published wheel, and DeepLabCut's parts, on this machine, in one run: `nox -s bench`."""
