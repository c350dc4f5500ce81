"""Options that name several runs: `[a,b]`, `a,b` or one alone."""

from collections.abc import Sequence
from pathlib import Path

from lp_core import ConfigError, DataError, listed


def run_folders(run: str | None, runs: str | None) -> dict[str, Path]:
    """The directories that run=… or runs=[…] names, by the shortest name that tells them apart.

    Raises:
        ConfigError: neither or both are given.
        DataError: one of them is not the directory of a run.
    """
    if (run is None) == (runs is None):
        raise ConfigError("Either run=DIR or runs=[DIR,DIR] must be given.")
    folders = [Path(run)] if run is not None else [Path(name) for name in listed(runs or "")]
    if not folders:
        raise ConfigError(f"runs={runs} names no run.")
    for folder in folders:
        if not (folder / "config.yaml").exists():
            raise DataError(f"{folder / 'config.yaml'} does not exist; {folder} must be the directory of a run.")
    return dict(zip(short_names(folders), folders, strict=True))


def short_names(paths: Sequence[Path]) -> list[str]:
    """Each path's last part, or as much of its end as makes all different."""
    parts = [path.resolve().parts for path in paths]
    if len(set(parts)) < len(parts):
        twice = next(path for path, part in zip(paths, parts, strict=True) if parts.count(part) > 1)
        raise ConfigError(f"{twice} is named twice; leave one out.")
    length = 1
    while len({p[-length:] for p in parts}) < len(parts):
        length += 1
    return ["/".join(p[-length:]) for p in parts]
