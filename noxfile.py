"""Every check of the project, one session each: `nox -l` lists them, `nox` alone runs all but `bench`."""

import os
import shutil
from pathlib import Path

import nox

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles torch and all else again, for ten seconds
ROOT = Path(__file__).parent
PACKAGES = {p.parent.name: p.parent for p in sorted(ROOT.glob("packages/*/pyproject.toml"))}
PACKAGES["lp-apps"] = ROOT / "apps"
TESTED = [name for name, folder in PACKAGES.items() if (folder / "tests").exists()]
WHOLE = ("lp-kit", "lp-apps")  # packages that bring all others, with these of their extras
BROUGHT = {
    "lp-data-dali": "cuda130",
    "lp-infer": "torch,export,openvino",
    "lp-viz": "review",
}  # DALI installs and runs without a GPU
EXTRAS = BROUGHT | {
    "lp-io": "sleap,nwb,parquet",
    "lp-infer": "torch,export,openvino,mnn,slurm,mot",
}  # for the tests of one
READERS = {  # what users read our files with
    "lp-io": ("pandas>=3", "tables>=3.11", "polars>=2", "pycocotools>=2.0.10"),
    "lp-train": ("jsonschema>=4.25",),
    "lp-viz": ("sleap-io>=0.9.2,<0.10",),
}
TIDY = ("-o", "tmp_path_retention_policy=failed")  # a training test leaves hundreds of megabytes of weights
BROWSER = "selenium>=4.51"  # drives the Chromium of the machine
PARALLEL = ("-n", "auto", "--dist", "loadfile")  # a file's tests share what they have trained
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "contracts", "api", "wheels", "tests", "together", "docs"]


def synced(session: nox.Session) -> None:
    """Install the locked workspace, packages editable, into the session's own environment."""
    environment = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install(
        "uv", "sync", "--frozen", "--quiet", f"--python={session.virtualenv.location}", env=environment, external=True
    )


def install_wheel(session: nox.Session, package: str, *extra: str) -> None:
    """Install one built wheel; our other wheels come from dist/, never from an index."""
    wheels = {w.name.split("-")[0]: w for w in (ROOT / "dist").glob("*.whl")}
    overrides = Path(session.create_tmp()) / "ours.txt"
    lines = [wheel_line(name.replace("_", "-"), wheel, package) for name, wheel in wheels.items()]
    overrides.write_text("\n".join(lines))
    session.install(package, *extra, "--overrides", str(overrides), "--quiet")


def wheel_line(name: str, wheel: Path, target: str) -> str:
    """Where wheel `name` comes from when `target` is tested, with the extras that its tests want."""
    extras = EXTRAS.get(name) if name == target else BROUGHT.get(name) if target in WHOLE else None
    return f"{name}[{extras}] @ {wheel.as_uri()}" if extras else f"{name} @ {wheel.as_uri()}"


def test_environment() -> dict[str, str]:
    """Where the real data and the type checker are, and one thread for networks that are too small for more."""
    defaults = {
        "LP_TEST_DATA": str(ROOT / "../shared/data"),
        "LP_TEST_WEIGHTS": str(ROOT / "../shared/weights"),
        "OMP_NUM_THREADS": "1",
    }
    checker = {"PYTHONPATH": str(ROOT / "tools")}  # tower.check, and tools beside it
    return checker | {key: os.environ.get(key, value) for key, value in defaults.items()}


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format, and that every name is defined."""
    session.install("ruff>=0.14", "--quiet")
    session.run("ruff", "check")
    session.run("python", "tools/names.py")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Static types of every package."""
    synced(session)
    session.run("basedpyright", "--level", "error")


@nox.session
def contracts(session: nox.Session) -> None:
    """Import directions between packages, and which of them may know a heavy library."""
    synced(session)
    session.run("lint-imports")


@nox.session(venv_backend="none")
def wheels(session: nox.Session) -> None:
    """Build every wheel into dist/."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("uv", "build", "--all-packages", "--wheel", "--out-dir", "dist", "--quiet", external=True)


@nox.session(requires=["wheels"])
@nox.parametrize("package", TESTED, ids=TESTED)
def tests(session: nox.Session, package: str) -> None:
    """One wheel alone, with only what it declares, against its own tests."""
    install_wheel(session, package, "pytest>=9", "pytest-xdist>=3.8", "beartype>=0.22", *READERS.get(package, ()))
    checked = ",".join([*sorted({"lp_core", package.replace("-", "_")}), "tower.check"])
    folder = PACKAGES[package] / "tests"
    environment = test_environment()
    session.cd(session.create_tmp())  # the sources must not be importable by accident
    session.run(
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *PARALLEL,
        *TIDY,
        str(folder),
        f"--jaxtyping-packages={checked}",
        *session.posargs,
        env=environment,
    )


@nox.session(requires=["wheels"])
def together(session: nox.Session) -> None:
    """The meta-package brings everything; the tests in tests/ cross packages and run the command end to end.

    Those of the review page run where there is a Chromium, and say what is missing where there is none.
    """
    install_wheel(session, "lp-kit", "pytest>=9", "pytest-xdist>=3.8", "beartype>=0.22", BROWSER)
    gpu = ("--ignore", "tests/gpu")
    spread = ("-n", "auto", "--dist", "worksteal")  # the longest files share little between their tests
    session.run("pytest", "-q", "-rs", *spread, *TIDY, "tests", *gpu, *session.posargs, env=test_environment())


@nox.session
def browser(session: nox.Session) -> None:
    """The review page in a real Chromium, which is installed through apt where it is missing and we may."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")) and hasattr(os, "geteuid") and os.geteuid() == 0:
        session.run("apt-get", "update", "-q", external=True)
        session.run("apt-get", "install", "-y", "-q", "chromium", "chromium-driver", external=True)
    synced(session)
    session.install(BROWSER, "--quiet")
    session.run("pytest", "-q", "tests/browser", *session.posargs, env=test_environment())


@nox.session(requires=["wheels"])
def fiftyone(session: nox.Session) -> None:
    """Samples for FiftyOne, made with the library itself; needs no database."""
    install_wheel(session, "lp-viz", "fiftyone>=1.22", "pytest>=9")
    session.cd(session.create_tmp())
    test = PACKAGES["lp-viz"] / "tests/test_fiftyone.py"
    session.run("pytest", "-q", "-p", "no:cacheprovider", str(test), env=test_environment())


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, strictly."""
    synced(session)
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})  # --quiet would hide broken links


@nox.session(requires=["wheels"])
def plugins(session: nox.Session) -> None:
    """A plugin of every kind: made, built, installed and used beside our wheels, with nothing edited here."""
    install_wheel(session, "lp-kit", "pytest>=9")
    session.cd(session.create_tmp())  # the sources must not be importable by accident
    session.run("python", str(ROOT / "tests" / "plugins" / "prove.py"), *session.posargs, env=test_environment())


@nox.session(requires=["wheels"])
def gpu_integration(session: nox.Session) -> None:
    """Everything that needs a CUDA device; needs one."""
    if shutil.which("nvidia-smi") is None:
        session.error(
            "gpu_integration needs a CUDA device, and this machine has no nvidia-smi; run it on a GPU machine."
        )
    install_wheel(session, "lp-kit", "pytest>=9")
    session.run("pytest", "-s", "-v", "tests/gpu", *session.posargs, env=test_environment())


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios against Lightning Pose's published wheel, on this machine."""
    synced(session)
    session.install("mnn>=3.6", "--quiet")
    session.run("python", "-m", "bench", *session.posargs)


def alone(session: nox.Session, package: str) -> None:
    """Run a package's own tests on what is installed, from where the sources are not importable."""
    session.install("pytest>=9", "pytest-xdist>=3.8", "beartype>=0.22", *READERS.get(package, ()), "--quiet")
    session.cd(session.create_tmp())
    folder = PACKAGES[package] / "tests"
    session.run(
        "pytest", "-q", "-p", "no:cacheprovider", *PARALLEL, str(folder), *session.posargs, env=test_environment()
    )


@nox.session
def api(session: nox.Session) -> None:
    """The public names are those of packages/*/api.txt; who changes them tells users in changes/."""
    session.install("griffelib>=2.4,<3", "pytest>=9", "ruff>=0.14", "--quiet")
    session.run("python", "tools/api.py", *session.posargs)
    session.run("pytest", "-q", "-p", "no:cacheprovider", "tools/tests")


@nox.session(requires=["wheels"])
def surface(session: nox.Session) -> None:
    """The share of public names whose types are fully known, package by package; no package falls below its floor."""
    synced(session)
    wheels = [
        str(w) for w in sorted((ROOT / "dist").glob("*.whl"))
    ]  # over the editable ones, which are no packages to it
    session.install("--no-deps", "--reinstall", *wheels, "--quiet")
    session.run("python", "tools/typed.py", *session.posargs)


@nox.session(requires=["wheels"])
@nox.parametrize("package", TESTED, ids=TESTED)
def minimums(session: nox.Session, package: str) -> None:
    """One wheel with the lowest versions that it declares itself, against its own tests."""
    ours = Path(session.create_tmp()) / "ours.txt"
    wheels = {w.name.split("-")[0].replace("_", "-"): w for w in (ROOT / "dist").glob("*.whl")}
    ours.write_text("\n".join(wheel_line(name, wheel, package) for name, wheel in wheels.items()))
    extras = [f"--extra={extra}" for extra in EXTRAS.get(package, "").split(",") if extra]
    declared = ("-r", str(PACKAGES[package] / "pyproject.toml"), *extras, "--no-sources")
    session.install(*declared, "--resolution", "lowest-direct", "--overrides", str(ours), "--quiet")
    session.install("--no-deps", str(wheels[package]), "--quiet")
    alone(session, package)


@nox.session(requires=["wheels"], python=["3.11", "3.12", "3.13"])
@nox.parametrize("package", ["lp-core", "lp-io", "lp-losses"], ids=["lp-core", "lp-io", "lp-losses"])
def pythons(session: nox.Session, package: str) -> None:
    """The packages that others build on, with every Python we name; one that this machine lacks is skipped by nox."""
    install_wheel(session, package)
    alone(session, package)


@nox.session
def release(session: nox.Session) -> None:
    """With `-- --dry`: build, check and install all that a release publishes, and run the demo with it."""
    if "--dry" not in session.posargs:
        session.error(
            "Publishing is a human's act (docs/releasing.md); `nox -s release -- --dry` does all that precedes it."
        )
    out, clean = Path(session.create_tmp()) / "dist", Path(session.create_tmp()) / "clean"
    for folder in (out, clean):
        shutil.rmtree(folder, ignore_errors=True)
    session.run("uv", "build", "--all-packages", "--out-dir", str(out), "--quiet", external=True)
    session.install("twine>=7", "--quiet")
    session.run("twine", "check", "--strict", *map(str, sorted(out.glob("lp_*"))))
    session.run("python", "tools/artifacts.py", str(out))
    session.run("python", "tools/rehearse.py", str(out), str(clean), env=test_environment())
