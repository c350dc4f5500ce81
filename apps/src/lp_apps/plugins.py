"""lpose plugins

Every installed part: group, name, distribution, what it is, or why it cannot be used.
"""

from typing import Any

from lp_core import REGISTRIES, ConfigError, Registry


def registries() -> tuple[Registry[Any], ...]:
    """Of every kind of part there is."""
    from lp_viz.viewers import viewers

    return (*REGISTRIES, viewers)


def run(words: list[str]) -> None:
    """Print one line per part."""
    if words:
        raise ConfigError(f"lpose plugins takes no options, not {words[0]!r}.")
    parts = [part for registry in registries() for part in registry.parts()]
    widths = [max(len(getattr(p, f)) for p in parts) for f in ("group", "name", "distribution")]
    for part in parts:
        columns = (f"{getattr(part, f):<{w}}" for f, w in zip(("group", "name", "distribution"), widths, strict=True))
        print("  ".join([*columns, f"BROKEN: {part.problem}" if part.problem else part.doc]))
