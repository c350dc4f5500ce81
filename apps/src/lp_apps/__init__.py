"""The lpose command."""
