"""Layouts of labeled projects, one file each."""
