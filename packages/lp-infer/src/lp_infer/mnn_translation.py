"""An ONNX graph in MNN's own format. No torch.

MNN's converter prints to standard output, and a graph that it does not know may end the process: it runs in one of its own.
Its module `MNN.tools` is not imported: that installs a further package and tells MNN's makers of every conversion.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lp_core import Size

GIVEN, MADE = "model.onnx", "model.mnn"
LATEST = 120  # seconds after which nothing more is expected


def translated(graph: bytes, size: Size, outputs: Sequence[str], folder: Path) -> Path:
    """Write an ONNX file for MNN to `folder`, and run it there with one black frame.

    Args:
        size: (height, width) of the frames.
        outputs: names of those that are wanted.

    Raises:
        RuntimeError: MNN cannot run it, and why.
    """
    (folder / GIVEN).write_bytes(graph)
    command = [sys.executable, "-P", "-m", "lp_infer.mnn_translation", json.dumps([size, outputs])]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=LATEST, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise RuntimeError(f"its converter did not run: {e}") from e
    if done.returncode or not (folder / MADE).is_file():
        raise RuntimeError(_reason(done.stdout.decode(errors="replace"), done.returncode))
    return folder / MADE


def _reason(printed: str, code: int) -> str:
    for line in printed.splitlines():
        if "Not Support: " in line:
            return f"it does not know {line.partition('Not Support: ')[2].strip()}"
    return f"its process ended with {code}" if code else "its converter wrote nothing"


def _translate(size: Size, outputs: Sequence[str]) -> None:
    """In the working folder."""
    import _tools  # of MNN  # pyright: ignore[reportMissingImports]

    from lp_infer.mnn_network import Network

    _tools.mnnconvert(["", "-f", "ONNX", "--modelFile", GIVEN, "--MNNModel", MADE, "--bizCode", "lp"])
    if Path(MADE).is_file():
        Network(Path(MADE), size, outputs)(np.zeros((1, *size, 3), np.uint8))


if __name__ == "__main__":
    (_height, _width), _outputs = json.loads(sys.argv[1])
    _translate((_height, _width), _outputs)
