"""The house as the design page draws it."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = [*ROOT.glob("packages/*"), ROOT / "apps"]
PROJECTS = {p.name: tomllib.loads((p / "pyproject.toml").read_text())["project"] for p in PACKAGES}
SOURCES = [f for p in PACKAGES for f in p.glob("src/**/*.py")]


def test_one_version_and_siblings_pinned_to_it():
    versions = {project["version"] for project in PROJECTS.values()}
    assert len(versions) == 1
    for project in PROJECTS.values():
        ours = [d for d in project["dependencies"] if d.startswith("lp-")]
        assert all(d.endswith(f"=={next(iter(versions))}") for d in ours)


def test_the_import_contract_names_every_package():
    roots = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"])
    assert roots == {p.name for folder in PACKAGES for p in folder.glob("src/*") if p.is_dir()}


def test_the_meta_package_brings_every_other():
    names = {d.partition("==")[0].partition("[")[0] for d in PROJECTS["lp-kit"]["dependencies"]}
    assert names == {project["name"] for project in PROJECTS.values()} - {"lp-kit"}


def test_every_entry_point_loads_and_says_what_it_is():
    from lp_core import REGISTRIES

    parts = [part for registry in REGISTRIES for part in registry.parts()]
    assert len(parts) > 40 and not [p for p in parts if p.problem or not p.doc]
    assert {p.group for p in parts} == {r.group for r in REGISTRIES}


def test_sizes():
    core = [f for f in SOURCES if "lp_core" in f.parts and "testing" not in f.parts]
    assert sum(len(f.read_text().splitlines()) for f in core) <= 1100
    for file in SOURCES:
        assert len(file.read_text().splitlines()) <= 400, file
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                doc = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
                assert node.end_lineno - node.lineno + 1 - doc <= 60, f"{file}: {node.name}"
