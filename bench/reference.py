"""Lightning Pose's published wheel in an environment of its own, and what it says of its speed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(os.environ.get("LP_REFERENCE", Path(__file__).parents[1] / "../shared/bench/reference.py")).resolve()
HOME = Path(os.environ.get("LP_REFERENCE_VENV", Path.home() / ".cache/lp/reference-venv"))


def ready() -> None:
    """Make the environment once; minutes and 8 GB."""
    if not SCRIPT.exists():
        sys.exit(f"{SCRIPT} is not there; set LP_REFERENCE to the script that runs the reference.")
    if not (HOME / "bin/python").exists():
        print(f"installing the reference into {HOME}", flush=True)
        subprocess.run([sys.executable, SCRIPT, "setup", "--venv", HOME], check=True)


def run(*words: str, threads: int) -> dict[str, Any]:
    """One verb of the script; its RESULT line."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [HOME / "bin/python", SCRIPT, *words], capture_output=True, text=True, env=environment, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"the reference failed: {done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("RESULT "))


def seconds_of_code(code: str, threads: int) -> float:
    """Run Python in the reference's environment; the number it prints last."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [HOME / "bin/python", "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return float(done.stdout.split()[-1])
