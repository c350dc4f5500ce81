"""Install lp-kit as a user will, with our packages from DIST only, and run the demo on a small scene.

python tools/rehearse.py DIST FOLDER     FOLDER is made: an environment and what the demo writes
"""

import subprocess
import sys
import time
from pathlib import Path

SCENE = """
from pathlib import Path
from lp_data.scene import SceneOptions, make_demo
make_demo(Path("demo/data"), SceneOptions(labeled=40, frames=60, ood_labeled=10, ood_frames=20))
"""
DEMO = ("demo", "out=demo", "epochs=1", "data.image_size=[96,96]")
INDEXES = """[[index]]
name = "ours"
url = "{ours}"
format = "flat"

[[index]]
name = "pypi"
url = "https://pypi.org/simple"
default = true
"""  # a name found in the first index is never looked for in the second: nobody else's lp-core can slip in


def installed(dist: Path, folder: Path) -> Path:
    """An environment with lp-kit and what it asks for; the version of every package of ours is decided by its pins."""
    version = next(dist.glob("lp_kit-*.whl")).name.split("-")[1]
    settings = folder / "uv.toml"
    settings.write_text(INDEXES.format(ours=dist.resolve().as_uri()))
    run(folder, "uv", "venv", "--quiet", "--clear", "--python", sys.executable, "env")
    python = folder / "env/bin/python"
    sources = ("--quiet", f"--config-file={settings}", f"--python={python}")
    run(folder, "uv", "pip", "install", *sources, f"lp-kit=={version}")
    run(folder, "uv", "pip", "check", f"--python={python}")
    return python


def run(folder: Path, *words: str | Path) -> None:
    """Run a command in a folder, and say how long it took; a failure ends the rehearsal."""
    start = time.perf_counter()
    if subprocess.run([str(w) for w in words], cwd=folder).returncode:
        sys.exit(f"`{' '.join(map(str, words))}` failed: the release is not ready.")
    shown = [str(w) if "\n" not in str(w) else "(a small scene)" for w in words]
    print(f"{time.perf_counter() - start:7.1f} s  {' '.join(shown)}", flush=True)


def main(words: list[str]) -> int:
    """Install, make data, train, predict, draw; the video must be there."""
    dist, folder = Path(words[0]).resolve(), Path(words[1]).resolve()
    folder.mkdir(parents=True)
    python = installed(dist, folder)
    run(folder, python, "-c", SCENE)
    run(folder, python.with_name("lpose"), *DEMO)
    videos = [f for f in folder.glob("demo/run/**/*.mp4") if f.stat().st_size]
    print(f"`lpose demo` wrote {videos[0]}." if videos else "`lpose demo` wrote no video: the release is not ready.")
    return not videos


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
