"""Run by test_chunks: predict a video, killed with SIGKILL again and again, until it is done. Prints how often.

The network is made ready once; every attempt is a fork of this process, so that twenty of them take seconds.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import lp_infer.chunks
from conftest import BlobFinder  # beside this file
from lp_infer import PredictOptions, predict_video
from lp_infer.chunks import folder_of

lp_infer.chunks.CHUNK = 16  # frames of a record: there are 75 of them
KILLS = 20


def attempt(runtime: str, video: Path, out: Path) -> int:
    """Predict in a fork of this process."""
    child = os.fork()
    if not child:
        predict_video(BlobFinder().eval(), video, out, PredictOptions(runtime=runtime, batch_size=8, device="cpu"))
        os._exit(0)
    return child


def written(out: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder_of(out).glob("*.log"))
    except FileNotFoundError:  # finished meanwhile
        return 0


def main(runtime: str, video: Path, out: Path, whole: Path) -> None:
    os.waitpid(attempt(runtime, video, whole), 0)
    chance, kills = random.Random(0), 0
    while kills < KILLS or not out.exists():
        if out.exists():  # done too soon: once more from the start
            assert out.read_bytes() == whole.read_bytes()
            out.unlink()
        child = attempt(runtime, video, out)
        if kills < KILLS:
            enough = written(out) + chance.choice((0, 0, 1, 1, 2)) * 800  # bytes; a record has about 800
            while written(out) < enough and not out.exists():
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    print(kills)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:5]))
