"""lpose ensemble runs=[RUN,RUN,…] source=VIDEO out=DIR [key=value …]

Predicts VIDEO (or a folder or glob of videos) with every run, combines the predictions and smooths them over time where
the runs disagree. Writes DIR/<video>.csv, replacing an older one: x, y, likelihood, then median, variance and posterior
variance, in pixels of the original frame, with the columns of the ensemble Kalman smoother (EKS).
Each run's own predictions are kept in DIR/members/<run>/<video>.csv; those that exist are not predicted again.

  members=[FILE,FILE,…]  prediction tables to combine, instead of runs; the result is named after source or the first
  mean=false             combine by the mean instead of the median
  smooth=true            false leaves the combined predictions as they are
  s=NUMBER               pixels² a keypoint moves by per frame; smaller is smoother; found per keypoint if not given
  batch_size=0  precision=auto  device=auto    as in lpose predict
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lp_core import ConfigError, DataError, listed

from lp_apps import predict
from lp_apps.options import parse


@dataclass
class Options:
    """What `lpose ensemble` takes."""

    out: str
    runs: str | None = None
    source: str | None = None
    members: str | None = None
    s: float | None = None
    mean: bool = False
    smooth: bool = True
    batch_size: int = 0
    precision: str = "auto"
    device: str = "auto"


def run(words: list[str]) -> None:
    """Combine one set of tables, or predict every video with every run and combine those."""
    options = parse(words, Options)
    if (options.runs is None) == (options.members is None):
        raise ConfigError("Either runs=[…] or members=[…] must be given.")
    if options.s is not None and not 0 < options.s < math.inf:
        raise ConfigError(
            f"s={options.s} must be positive and finite; leave it out to have it found for every keypoint."
        )
    if options.s is not None and not options.smooth:
        raise ConfigError("s=… smooths and smooth=false does not; leave one of them out.")
    if options.members is not None:
        tables = [Path(member) for member in _several("members", options.members)]
        _combine(tables, Path(options.out) / f"{Path(options.source or tables[0]).stem}.csv", options)
        return
    runs = [Path(name) for name in _several("runs", options.runs or "")]
    if options.source is None:
        raise ConfigError("source=… must be given with runs=[…].")
    absent = [name for name in runs if not name.is_dir()]
    if absent:
        raise DataError(f"{absent[0]} is not a directory; runs=[…] takes the directories of trained runs.")
    videos = predict.expand(options.source)[0]
    if not videos:
        raise DataError(f"source={options.source} holds no video; lpose ensemble predicts videos.")
    _check_keypoints(runs)
    tables = {video: Path(options.out) / f"{video.stem}.csv" for video in predict.distinct(videos)}
    predict.each(tables, lambda video, table: _combine(_predicted(runs, video, options), table, options))


def _check_keypoints(runs: list[Path]) -> None:
    """Raise `DataError` before anything is predicted if the runs were trained on different keypoints."""
    from lp_train import RunDir
    from lp_train.poses import load_poses

    files = {run: RunDir(run).poses for run in runs}
    names = {run: load_poses(file).keypoint_names for run, file in files.items() if file.exists()}
    for run, found in names.items():
        first = next(iter(names))
        if found != names[first]:
            alone = sorted(set(found) ^ set(names[first]))
            which = (
                f"only one of them has {', '.join(alone[:3])}{', …' * (len(alone) > 3)}"
                if alone
                else "in another order"
            )
            raise DataError(
                f"{first} and {run} have different keypoints ({which}); combine runs trained on the same ones."
            )


def _several(key: str, text: str) -> list[str]:
    """The names in `[a,b]` or `a,b`: two at least, each once."""
    names = listed(text)
    if len(names) < 2:
        raise ConfigError(f"{key}={text} names fewer than two members; an ensemble needs at least two.")
    same = Counter(Path(name).resolve().name if key == "runs" else str(Path(name).resolve()) for name in names)
    twice = [name for name, count in same.items() if count > 1]
    if twice:
        raise ConfigError(f"{key}={text} names {twice[0]} twice; the members must have different names.")
    return names


def _predicted(runs: list[Path], video: Path, options: Options) -> list[Path]:
    """A table per run, predicting those that are missing."""
    tables = []
    for name in runs:
        folder = Path(options.out) / "members" / name.resolve().name
        tables.append(folder / f"{video.stem}.csv")
        if not tables[-1].exists():
            how = [f"{key}={getattr(options, key)}" for key in ("batch_size", "precision", "device")]
            predict.run([f"run={name}", f"source={video}", f"out={folder}", *how])
    return tables


def _combine(tables: list[Path], out: Path, options: Options) -> None:
    from lp_infer.ensemble import combine, write_ensemble
    from lp_infer.smoothing import smooth
    from lp_io import read_predictions

    if out.resolve() in [table.resolve() for table in tables]:
        raise ConfigError(f"{out} is one of the members and would be replaced; give another out=DIR.")
    ensemble = combine({str(table): read_predictions(table) for table in tables}, mean=options.mean)
    if options.smooth and isinstance(ensemble.index[0], str):
        raise DataError(f"{tables[0]} holds images, not frames of a video; combine them with smooth=false.")
    smoothed = smooth(ensemble.keypoints, ensemble.noise, options.s) if options.smooth else None
    write_ensemble(out, ensemble, smoothed)
    print(f"{len(tables)} members, {ensemble.deviation:.2f} px apart in the mean → {out}")
