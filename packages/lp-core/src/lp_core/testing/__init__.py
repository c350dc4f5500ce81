"""Conformance suites. A package that ships a part subclasses the matching contract in its own tests and sets `name`."""
