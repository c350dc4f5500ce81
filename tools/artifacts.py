"""Look into built wheels and source distributions before they are published: one sentence per problem, and the sizes.

python tools/artifacts.py DIST
"""

import re
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
WANTED = ("Summary", "License-Expression", "License-File", "Requires-Python", "Classifier", "Description-Content-Type")
BESIDE = {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO", "api.txt", ".gitignore"}  # hatchling brings the last
INSIDE = {"src", "tests"}
JUNK = re.compile(r"(^|/)(__pycache__|\.[^/]+_cache|\.DS_Store|\.ipynb_checkpoints|[^/]+\.(pyc|orig|rej|swp))(/|$)")


def names_in(file: Path) -> list[str]:
    """Files of a wheel or a source distribution, from its root."""
    if file.suffix == ".whl":
        return zipfile.ZipFile(file).namelist()
    with tarfile.open(file) as archive:
        return [member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()]


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself."""
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    return Parser().parsestr(archive.read(name).decode())


def lacking(facts: Message) -> list[str]:
    """What the metadata does not say, or says otherwise than its siblings."""
    found = [f"its metadata has no {field}" for field in WANTED if not facts.get_all(field)]
    found += ["its README is empty"] if not str(facts.get_payload()).strip() else []
    siblings = [d for d in facts.get_all("Requires-Dist", []) if d.startswith("lp-")]
    loose = [d for d in siblings if f"=={facts['Version']}" not in d]
    return found + [f"it asks for `{d}`, not for exactly {facts['Version']}" for d in loose]


def wheel_problems(wheel: Path) -> list[str]:
    """What is wrong with a wheel."""
    names, package = names_in(wheel), wheel.name.partition("-")[0]
    code = [n for n in names if ".dist-info/" not in n]
    found = [f"{n} lies outside the package" for n in code if not n.startswith(f"{package}/")]
    found += [f"{n} does not belong there" for n in code if JUNK.search(n)]
    found += ["py.typed is missing"] if code and f"{package}/py.typed" not in code else []
    return found + lacking(metadata(wheel))


def sdist_problems(sdist: Path) -> list[str]:
    """What is wrong with a source distribution."""
    names = names_in(sdist)
    stray = [n for n in names if n not in BESIDE and PurePosixPath(n).parts[0] not in INSIDE]
    found = [f"{n} does not belong there" for n in [*stray, *filter(JUNK.search, names)]]
    return found + [f"{n} is missing" for n in ("README.md", "LICENSE", "pyproject.toml", "PKG-INFO") if n not in names]


def unbuilt(dist: Path) -> list[str]:
    """Packages of the workspace of which a wheel or a source distribution was not built."""
    folders = [f.parent for f in [*sorted(ROOT.glob("packages/*/pyproject.toml")), ROOT / "apps/pyproject.toml"]]
    names = ["lp_apps" if f.name == "apps" else f.name.replace("-", "_") for f in folders]
    ends = ("-*.whl", "-*.tar.gz")
    return [f"{name}{end} was not built." for name in names for end in ends if not list(dist.glob(name + end))]


def problems(dist: Path) -> list[str]:
    """One sentence per problem of any file."""
    wheels, sdists = sorted(dist.glob("*.whl")), sorted(dist.glob("*.tar.gz"))
    found = [f"{w.name}: {p}." for w in wheels for p in wheel_problems(w)]
    versions = {metadata(w)["Version"] for w in wheels}
    found += [f"The wheels have several versions: {', '.join(sorted(versions))}."] if len(versions) > 1 else []
    return unbuilt(dist) + found + [f"{s.name}: {p}." for s in sdists for p in sdist_problems(s)]


def sizes(dist: Path) -> str:
    """A table of files and kilobytes."""
    files = sorted([*dist.glob("*.whl"), *dist.glob("*.tar.gz")])
    lines = [f"{f.name:44}{f.stat().st_size / 1000:8.1f} kB{len(names_in(f)):6} files" for f in files]
    return "\n".join([*lines, f"{'all':44}{sum(f.stat().st_size for f in files) / 1000:8.1f} kB"])


def main(words: list[str]) -> int:
    """Print problems and sizes; 1 if there are problems."""
    dist = Path(words[0])
    found = problems(dist)
    print(sizes(dist), *found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
