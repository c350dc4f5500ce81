"""What every label format must do."""

from pathlib import Path

import numpy as np
import pytest

from lp_core import DataError, LabelFormat, LabelSet, label_formats


class LabelFormatContract:
    """Subclass in a plugin's tests, set `name`, and write a project in `project`.

    The project has two frames of two keypoints, `a` and `b`: (1, 2), (3, 4) in the first, (5, 6) and nothing in the second.
    """

    name: str

    def project(self, root: Path) -> None:
        """Write the project into the empty directory `root`."""
        raise NotImplementedError

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        self.project(tmp_path)
        return tmp_path

    def build(self) -> LabelFormat:
        return label_formats[self.name]().build()

    def read(self, root: Path) -> LabelSet:
        return self.build().read(root)

    def test_it_recognises_its_own_layout_only(self, root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        assert isinstance(self.build(), LabelFormat)
        assert self.build().detect(root)
        assert not self.build().detect(tmp_path_factory.mktemp("empty"))

    def test_values(self, root: Path) -> None:
        labels = self.read(root)
        assert labels.keypoint_names == ("a", "b") and len(labels.images) == 2 and labels.root == root
        np.testing.assert_array_equal(labels.keypoints, [[[1, 2], [3, 4]], [[5, 6], [np.nan, np.nan]]])
        np.testing.assert_array_equal(labels.visibility, [[2, 2], [2, 0]])
        assert all((root / image).is_file() and "\\" not in image for image in labels.images)

    def test_a_missing_file_is_one_sentence(self, root: Path) -> None:
        with pytest.raises(DataError, match="not_there"):
            self.build().read(root, "not_there.csv")
