"""Layouts of predictions beside CSV, one module each."""
