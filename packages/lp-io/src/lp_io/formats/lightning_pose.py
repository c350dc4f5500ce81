"""Lightning Pose projects: `CollectedData*.csv` beside `labeled-data/`."""

from dataclasses import dataclass
from pathlib import Path

from lp_core import DataError, LabelFormatConfig, LabelSet

from lp_io.formats.ood import OOD
from lp_io.formats.skeleton import read_skeleton
from lp_io.header_table import read_header_table


class LightningPose:
    """Reads the reference's layout, with and without the `visible` column per keypoint."""

    def detect(self, root: Path) -> bool:
        """A `CollectedData*.csv` right in `root`."""
        return bool(self._files(root))

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read `root/file`, by default the one `CollectedData*.csv` that is not a `_new` or `_test` one."""
        path = root / (file or self._default(root))
        table = read_header_table(path)
        if table.owners is not None:
            raise DataError(
                f"{path} has labels of several animals, which this layout does not hold; make it a DeepLabCut project: "
                "config.yaml, and the table in labeled-data/<video>/."
            )
        names, keypoints, visibility = table.keypoints()
        return LabelSet(
            root=root, source=path, images=table.index, keypoint_names=names, keypoints=keypoints,
            visibility=visibility, scorer=table.scorer, skeleton=read_skeleton(root, names),
        )  # fmt: skip

    def _files(self, root: Path) -> list[Path]:
        return sorted(p for p in root.glob("CollectedData*.csv") if not p.stem.endswith(OOD))

    def _default(self, root: Path) -> str:
        files = self._files(root)
        if len(files) == 1:
            return files[0].name
        if not files:
            raise DataError(f"{root} has no CollectedData.csv; give the label file with data.labels=FILE.")
        raise DataError(
            f"{root} has several label files ({', '.join(p.name for p in files)}); choose with data.labels=FILE."
        )


@dataclass(slots=True, kw_only=True)
class LightningPoseConfig(LabelFormatConfig):
    """Lightning Pose: CollectedData.csv beside labeled-data/."""

    def build(self) -> LightningPose:
        """The reader."""
        return LightningPose()
