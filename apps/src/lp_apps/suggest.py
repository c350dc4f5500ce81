"""lpose suggest run=RUN n=20 [source=SOURCE] [out=DIR] [key=value …]

Chooses the N frames of video that are most worth labeling next: frames in which the run is probably wrong, unlike one
another and unlike what is labeled, spread over the videos. SOURCE is a video, a folder, a glob in quotes or [A,B]; all
videos of the project that RUN was trained on if not given. Videos without predictions in RUN are predicted first.
Prints why each frame was chosen, and writes into DIR (RUN/suggestions if not given): suggestions.csv, suggestions.png
with the predictions drawn, and the frames as a set to label, with the predictions as starting points in a file apart.

  format=lightning_pose  labeled-data/<video>/img….png and suggested_predictions.csv
  format=deeplabcut      the same images, and machinelabels-iterN.h5 in each folder, which napari-deeplabcut opens
  format=slp             suggestions.slp for SLEAP; pip install "lp-io[sleap]"
  runs=[RUN,RUN,…]       further runs: where they disagree with RUN
  ensemble=DIR           or the folder that lpose ensemble wrote: where its members disagree
  by=[confidence,…]      criteria, of ensemble, temporal, pca_singleview, pca_multiview, confidence; all there are if not
                         given
  min_gap=FRAMES         that two suggestions are apart at least; half a second if not given, less in short videos
  data=PROJECT           where the labels are, if they have moved since RUN was trained
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from lp_core import ConfigError, DataError, listed

from lp_apps import predict
from lp_apps.options import parse

if TYPE_CHECKING:
    from lp_viz.suggest import Evidence, Labeled


@dataclass
class Options:
    """What `lpose suggest` takes."""

    run: str
    n: int = 20
    source: str | None = None
    out: str | None = None
    format: str = "lightning_pose"
    runs: str = ""
    ensemble: str | None = None
    by: str = ""
    min_gap: int | None = None
    data: str | None = None


def run(words: list[str]) -> None:
    """Choose, explain and write the set to label."""
    from lp_viz.suggest import LAYOUTS, LabelingSet, check_layout, suggest, table_of, write_contact_sheet, write_table

    options = parse(words, Options)
    check_layout(options.format)
    out = Path(options.out or Path(options.run) / "suggestions")
    if (out / "suggestions.csv").exists():
        raise ConfigError(
            f"{out / 'suggestions.csv'} exists; give another out=DIR, or delete {out} if it is not needed."
        )
    project = _project(options)
    labeled = _labeled(project)
    evidence = [_evidence(video, options) for video in _videos(options, project)]
    chosen = suggest(evidence, labeled, options.n, listed(options.by), options.min_gap)
    print(table_of(chosen))
    given = LabelingSet(chosen, _skeleton(Path(options.run), evidence[0]), labeled)
    sheet = write_contact_sheet(out / "suggestions.png", chosen, given.skeleton)
    images = LAYOUTS[options.format](given, out)
    table = write_table(out / "suggestions.csv", chosen, images)
    if len(chosen) < options.n:
        print(f"{len(chosen)} instead of {options.n}: the videos have no more frames that differ enough; lower min_gap")
    print(f"{len(chosen)} frames to label in {out}: {table.name}, {sheet.name} and {options.format}")


def _project(options: Options) -> dict[str, Any]:
    """The settings `data` of the run's configuration, with `root` where the project is now.

    Raises:
        ConfigError: the run is no directory of a training, or of several cameras.
    """
    path = Path(options.run) / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"run={options.run} must be the directory of a training; it has no config.yaml.")
    data = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("data") or {}
    if data.get("view_names"):
        raise ConfigError(f"{path} is of several cameras, for which there are no suggestions yet; run it per camera.")
    if options.data:
        return data | {"root": options.data, "videos": None}
    return {"root": data.get("data_dir")} | data


def _labeled(project: dict[str, Any]) -> "Labeled":
    """Every labeled frame of the project; none, with a note, where its labels cannot be read."""
    from lp_io import ood_label_files, read_labels
    from lp_viz.suggest import labeled_frames

    root, layout = project.get("root"), project.get("format") or "auto"
    try:
        labels = read_labels(Path(str(root)), layout, project.get("labels"))
        others = [read_labels(labels.root, layout, str(f.relative_to(labels.root))) for f in ood_label_files(labels)]
    except DataError as e:
        print(f"note: what is labeled already is not known ({e}) Give data=PROJECT.")
        return labeled_frames([])
    return labeled_frames([labels, *others])


def _videos(options: Options, project: dict[str, Any]) -> list[Path]:
    source = options.source or str(project.get("videos") or Path(str(project.get("root"))) / "videos")
    if options.source is None and not Path(source).is_dir():
        raise DataError(f"{source} does not exist; give source=VIDEO, a folder or a glob.")
    videos = predict.distinct(predict.expand(source)[0])
    if not videos:
        raise DataError(f"source={source} holds no video; suggestions are made for videos.")
    return videos


def _evidence(video: Path, options: Options) -> "Evidence":
    from lp_viz.suggest import evidence_of

    own = _predicted(options.run, video)
    others = [name for name in listed(options.runs) if Path(name).resolve() != Path(options.run).resolve()]
    members = [_predicted(name, video) for name in others]
    ensemble = Path(options.ensemble) / f"{video.stem}.csv" if options.ensemble else None
    return evidence_of(video, own, members, ensemble)


def _predicted(run: str, video: Path) -> Path:
    """The table of a video in a run, predicted first if it is missing; of several animals the one with tracks."""
    table = Path(run) / "video_preds" / f"{video.stem}.csv"
    if not table.exists():
        predict.run([f"run={run}", f"source={video}", f"out={table.parent}"])
    tracks = table.with_name(f"{table.stem}_tracks.csv")
    return tracks if tracks.exists() else table


def _skeleton(run: Path, evidence: "Evidence") -> tuple[tuple[int, int], ...]:
    try:
        pairs = json.loads((run / "provenance.json").read_text())["skeleton"]
    except (OSError, ValueError, KeyError):
        return ()
    return tuple((a, b) for a, b in pairs if max(a, b) < len(evidence.table.keypoint_names))
