"""Built files with one thing wrong each."""

import io
import tarfile
import zipfile

import pytest
from artifacts import sdist_problems, wheel_problems

METADATA = """Metadata-Version: 2.4
Name: lp-x
Version: 1.0.0
Summary: X.
License-Expression: MIT
License-File: LICENSE
Classifier: Typing :: Typed
Requires-Python: >=3.11
Requires-Dist: lp-core==1.0.0
Description-Content-Type: text/markdown

# lp-x
"""
SOUND = {"lp_x/__init__.py": "", "lp_x/py.typed": "", "lp_x-1.0.0.dist-info/METADATA": METADATA}
SOURCES = ("README.md", "LICENSE", "pyproject.toml", "PKG-INFO", "src/lp_x/__init__.py", "tests/test_x.py")


def wheel(folder, files):
    path = folder / "lp_x-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def sdist(folder, names):
    path = folder / "lp_x-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"lp_x-1.0.0/{name}"), io.BytesIO())
    return path


def test_sound_files(tmp_path):
    assert wheel_problems(wheel(tmp_path, SOUND)) == []
    assert sdist_problems(sdist(tmp_path, SOURCES)) == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({k: v for k, v in SOUND.items() if "py.typed" not in k}, "py.typed is missing"),
        (SOUND | {"tests/test_x.py": ""}, "tests/test_x.py lies outside the package"),
        (SOUND | {"lp_x/__pycache__/a.pyc": ""}, "lp_x/__pycache__/a.pyc does not belong there"),
        (SOUND | {"lp_x-1.0.0.dist-info/METADATA": METADATA.replace("License-File: LICENSE\n", "")}, "no License-File"),
        (SOUND | {"lp_x-1.0.0.dist-info/METADATA": METADATA.replace("==1.0.0", ">=1.0.0")}, "not for exactly 1.0.0"),
        (SOUND | {"lp_x-1.0.0.dist-info/METADATA": METADATA.replace("# lp-x\n", "")}, "README is empty"),
    ],
)
def test_a_problem_of_a_wheel_is_named(tmp_path, files, problem):
    (found,) = wheel_problems(wheel(tmp_path, files))
    assert problem in found


def test_problems_of_a_source_distribution_are_named(tmp_path):
    found = sdist_problems(sdist(tmp_path, [*SOURCES[:1], *SOURCES[2:], "demo/clip.mp4", "src/lp_x/a.pyc"]))
    assert found == [
        "demo/clip.mp4 does not belong there",
        "src/lp_x/a.pyc does not belong there",
        "LICENSE is missing",
    ]
