"""Making targets, and grouping: ours beside a plain loop, and beside DeepLabCut's where it is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.scene import CASES

NAMES = {
    "gaussian": "score maps and offsets", "plateau": "the same with a plateau", "paf": "affinity fields",
    "dekr": "DEKR's maps", "grouping": "peaks to animals",
}  # fmt: skip
LIMBED = ("paf", "grouping")


def compare(table: Any) -> None:
    """Milliseconds of processor time per batch; DeepLabCut is that of the environment `DLC_REFERENCE_VENV`."""
    environment = os.environ.get("DLC_REFERENCE_VENV")
    modules = {"loop": (sys.executable, "bench.loops")}
    if environment:
        modules["DeepLabCut"] = (f"{environment}/bin/python", "bench.deeplabcut")
    for kind, scenes in CASES.items():
        for number, scene in enumerate(scenes):
            mine = _result(sys.executable, "bench.targets", kind, str(number))
            theirs = {name: _result(*command, kind, str(number)) for name, command in modules.items()}
            limbs = f", {len(scene.edges)} limbs" if kind in LIMBED else ""
            for name, result in theirs.items():
                table.row(f"{NAMES[kind]}, {scene.title}{limbs}, {name}, ms", result["ms"], mine["ms"], better="lower")
            if "found" in mine:
                shares = [f"{name} {result['found']:.0%}" for name, result in (theirs | {"ours": mine}).items()]
                print(f"  animals found with all parts: {', '.join(shares)}", flush=True)


def _result(python: str, module: str, *case: str) -> dict[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [python, "-m", module, *case]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[1], check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("RESULT "))
