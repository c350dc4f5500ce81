"""FiftyOne on the predictions of several runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lp_core import ConfigError, DataError

from lp_viz.fiftyone_samples import field_names, fiftyone, image_samples, skeleton, video_sample
from lp_viz.viewers import Results, Viewer, ViewerConfig

MARK = "made_by_lpose"  # in a dataset's info: it may be made anew
SHOWN = 200  # samples of a saved view
NO_DATABASE = (
    "FiftyOne reaches no MongoDB: install FiftyOne again where its own can be downloaded, or set "
    "FIFTYONE_DATABASE_URI=mongodb://HOST:27017 to one that runs."
)


@dataclass(slots=True, kw_only=True)
class FiftyOneConfig(ViewerConfig):
    """Labeled frames and videos with several models' predictions side by side, sorted by error, in the browser.

    Attributes:
        name: of the dataset; made of the runs' names if not given.
        port: of the page.
        address: who may see it; 0.0.0.0 = everybody on the network.
        every: only every n-th frame of a video gets keypoints, which keeps long ones quick.
        wait: until the page is closed or the program interrupted.
    """

    name: str = ""
    port: int = 5151
    address: str = "localhost"
    every: int = 1
    wait: bool = True

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"viewer.every={self.every} must be at least 1.")

    def build(self) -> Viewer:
        fiftyone()
        return FiftyOne(self)


@dataclass(frozen=True, slots=True)
class FiftyOne:
    """Fills a dataset and opens the page."""

    options: FiftyOneConfig

    def show(self, results: Results) -> None:
        """Labeled frames, or the videos where there are any.

        Raises:
            DataError: there is no database, or nothing to show.
        """
        dataset = self.dataset(results)
        print(f"dataset  {dataset.name}: {len(dataset)} samples, {len(dataset.list_saved_views())} saved views")
        session = fiftyone().launch_app(dataset, port=self.options.port, address=self.options.address)
        print(f"page     http://{self.options.address}:{self.options.port}")
        if self.options.wait:
            session.wait(-1)

    def dataset(self, results: Results) -> Any:
        """The filled dataset, with its skeleton and saved views; one of the same name that was made here is replaced."""
        samples = self._samples(results)
        dataset = empty_dataset(self.options.name or f"lpose {' '.join(results.runs)}")
        first = results.labels or next(iter(results.predictions.values()), None)
        if first is not None:
            dataset.default_skeleton = skeleton(first.keypoint_names, results.skeleton, first.animals)
        dataset.add_samples(samples)
        dataset.save()
        add_views(dataset, saved_views(list(results.runs), video=bool(results.videos)))
        return dataset

    def _samples(self, results: Results) -> Iterable[Any]:
        if results.videos:
            return [video_sample(video, tables, self.options.every) for video, tables in results.videos.items()]
        if results.labels is None or not results.predictions:
            raise DataError(
                "There is nothing to show: the runs have no predictions.csv; lpose evaluate run=RUN writes it."
            )
        return list(image_samples(results.labels, results.predictions))


def empty_dataset(name: str) -> Any:
    """A new dataset in FiftyOne's database.

    Raises:
        DataError: there is no database.
        ConfigError: the name is that of a dataset which was not made here.
    """
    fo = fiftyone()
    try:
        exists = fo.dataset_exists(name)
    except Exception as e:  # its own error, pymongo's and ConnectionError have no other base
        raise DataError(NO_DATABASE) from e
    if exists and not fo.load_dataset(name).info.get(MARK):
        raise ConfigError(f"There is a dataset {name!r} that lpose did not make; choose another with viewer.name=NAME.")
    dataset = fo.Dataset(name, persistent=True, overwrite=True)
    dataset.info[MARK] = True
    return dataset


@dataclass(frozen=True, slots=True)
class SavedView:
    """Samples in order of a field, the largest first unless `ascending`; or those with a tag."""

    name: str
    field: str = ""
    ascending: bool = False
    tag: str = ""


def saved_views(runs: Sequence[str], *, video: bool = False) -> list[SavedView]:
    """What people look for first; of videos nothing, as their fields are those of frames."""
    if video:
        return []
    fields: Mapping[str, str] = field_names(runs)
    views = [SavedView(f"worst frames of {run}", f"error_{fields[run]}") for run in runs]
    views += [SavedView(f"{run} is least sure", f"confidence_{fields[run]}", ascending=True) for run in runs]
    if len(runs) > 1:
        views.append(SavedView("models disagree", "disagreement"))
    return [*views, *(SavedView(f"{split} frames", tag=split) for split in ("train", "validation", "test"))]


def add_views(dataset: Any, views: Sequence[SavedView]) -> None:
    """Save them in the dataset; those of which there is no sample are left out."""
    for view in views:
        if view.tag:
            found = dataset.match_tags(view.tag)
        else:
            found = dataset.exists(view.field).sort_by(view.field, reverse=not view.ascending).limit(SHOWN)
        if len(found):
            dataset.save_view(view.name, found)
