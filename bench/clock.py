"""How long a function takes on one thread, whatever else the machine does."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.scene import CASES, Scene

REPEATS, ENOUGH = 30, 5.0  # runs, and seconds after which there are no more


def report(function_of: Callable[[str, Scene], Callable[[], Any]]) -> None:
    """Print the milliseconds of processor time of the case that the command line names, those of the best run: what else
    the machine does can only add to them. Of grouping, which gives keypoints (batch, animals, parts, 2), the share of
    animals found too.
    """
    kind, number = sys.argv[1:]
    scene = CASES[kind][int(number)]
    function = function_of(kind, scene)
    found = function()
    times: list[float] = []
    while len(times) < REPEATS and (len(times) < 3 or sum(times) < ENOUGH):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    share = {"found": scene.share_found(found)} if kind == "grouping" else {}
    print("RESULT " + json.dumps({"ms": 1000 * min(times)} | share))
