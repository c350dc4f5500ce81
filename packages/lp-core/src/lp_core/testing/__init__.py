"""Conformance suites. A package that ships a part subclasses the matching contract in its own tests and sets `name`.

One module per protocol, imported by itself, so that testing a loss needs nothing a backbone needs:
`lp_core.testing.backbone`, `.head`, `.loss`, `.augmentation`, `.clip_source`, `.label_format`, `.runtime`, `.table_writer`,
`.detector`, `.metric`, `.tracker`. They need pytest.
"""
