"""What one wheel alone brings: packages, megabytes, processor seconds until it is imported and until its first part stands.

python tools/sizes.py DIST [--find-links=FOLDER] [--build=torch==2.13.0] [PACKAGE ...]     prints a table in Markdown

DIST has the built wheels; every package gets a clean environment of its own. With `--find-links` and `--build`, another build
of PyTorch than the registry's can be chosen, where PyTorch is asked for.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

REPEATS = 5
FIRST = {  # what a user of the package alone does first
    "lp-core": "from lp_core import losses; sorted(losses)",
    "lp-io": "from lp_io import VideoReader, read_labels",
    "lp-losses": "from lp_core import losses; losses.make('heatmap_mse').build()",
    "lp-backbones": "from lp_core import backbones; backbones.make('resnet18', pretrained=False).build((128, 128))",
    "lp-heads": "from lp_core import heads; "
    "heads.make('heatmap').build(channels=64, stride=32, num_keypoints=4, image_size=(128, 128))",
    "lp-data": "from lp_core import augmentations; augmentations.make('dlc').build(keypoint_names=('nose', 'tail'))",
    "lp-detectors": "from lp_core import detectors; detectors.make('centers').build(image_size=(128, 128), animals=2)",
    "lp-data-dali[cuda130]": "from lp_core import clip_sources; clip_sources.make('dali'); import nvidia.dali",
    "lp-infer[onnx]": "from lp_infer import PredictOptions, predict_video; import onnxruntime",
    "lp-infer[torch]": "from lp_infer import PredictOptions, predict_video; import torch",
    "lp-viz": "from lp_viz import RenderOptions, render_video",
    "lp-train": "from lp_train import compose; compose(['data.root=project', 'out=run'])",
    "lp-kit": "from lp_apps.main import main; main(['plugins'])",
}
MODULES = {"lp-kit": "lp_apps"}  # it has no code of its own
WEIGH = """
import json
from importlib.metadata import distributions
weights = {}
for d in distributions():
    files = {p.locate().resolve() for p in d.files or ()}
    weights[d.name] = sum(f.stat().st_size for f in files if f.is_file())
print(json.dumps(weights))
"""
CLOCK = """
import time
start = time.process_time()
{code}
print(time.process_time() - start)
"""


def environment(folder: Path, package: str, dist: Path, options: list[str]) -> Path:
    """A clean environment with one package; its siblings come from `dist`."""
    wheels = {w.name.split("-")[0].replace("_", "-"): w for w in dist.resolve().glob("*.whl")}
    name, _, extra = package.partition("[")
    lines = [f"{n}{f'[{extra}' if extra and n == name else ''} @ {w.as_uri()}" for n, w in wheels.items()]
    lines += [o.removeprefix("--build=") for o in options if o.startswith("--build=")]
    (folder / "ours.txt").write_text("\n".join(lines))
    python = folder / "env/bin/python"
    subprocess.run(["uv", "venv", "--quiet", f"--python={sys.executable}", folder / "env"], check=True)
    words = ["uv", "pip", "install", "--quiet", f"--python={python}", f"--overrides={folder / 'ours.txt'}"]
    subprocess.run([*words, package, *(o for o in options if o.startswith("--find-links="))], check=True)
    return python


def weights(python: Path) -> dict[str, float]:
    """Megabytes of every installed package."""
    found = json.loads(subprocess.run([python, "-c", WEIGH], check=True, capture_output=True, text=True).stdout)
    return {name: size / 1e6 for name, size in found.items()}


def seconds(python: Path, code: str) -> str:
    """Of the processor, so that other work on the machine counts little: the least of several fresh processes."""
    words = [python, "-c", CLOCK.format(code=code)]
    done = [subprocess.run(words, capture_output=True, text=True) for _ in range(REPEATS)]
    if problems := [d.stderr for d in done if d.returncode]:
        print(problems[0].strip().splitlines()[-1], file=sys.stderr)
        return "fails"
    return f"{min(float(d.stdout.split()[-1]) for d in done):.2f}"


def row(package: str, dist: Path, options: list[str]) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        python = environment(Path(folder), package, dist, options)
        sizes = weights(python)
        module = MODULES.get(package, package.partition("[")[0].replace("-", "_"))
        times = [seconds(python, code) for code in (f"import {module}", FIRST[package])]
    heaviest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
    brought = ", ".join(f"{name} {sizes[name]:.0f}" for name in heaviest if sizes[name] >= 1)
    figures = f"{len(sizes)} | {sum(sizes.values()):.0f} | {brought} | {times[0]} | {times[1]}"
    return f"| `{package}` | {figures} |"


def main(words: list[str]) -> None:
    """Print the table, line by line."""
    options = [w for w in words if w.startswith("--")]
    dist, *packages = [w for w in words if not w.startswith("--")]
    print("| installed | packages | MB | the heaviest, MB | import, s | first use, s |\n|---|---|---|---|---|---|")
    for package in packages or FIRST:
        print(row(package, Path(dist), options), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
