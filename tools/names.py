"""python tools/names.py: names that are nowhere defined, in code.

Ruff's rule F821 is off, and so is pyright's, for both take the words of shapes (`Float[Tensor, "batch keypoints 2"]`) for
names. Here it counts outside of strings.
"""

import io
import json
import subprocess
import sys
import tokenize
from pathlib import Path


def strings(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where each string begins and ends, as (line, column) from (1, 0)."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [(token.start, token.end) for token in tokens if token.type == tokenize.STRING]


def undefined(folder: str) -> list[str]:
    """A sentence for each."""
    options = ["--isolated", "--select", "F821", "--output-format", "json", "--exit-zero"]
    command = [sys.executable, "-m", "ruff", "check", *options, folder]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    quoted = {name: strings(Path(name).read_text()) for name in {entry["filename"] for entry in found}}
    lines = []
    for entry in found:
        at = entry["location"]["row"], entry["location"]["column"] - 1
        if not any(start <= at < end for start, end in quoted[entry["filename"]]):
            lines.append(f"{entry['filename']}:{at[0]}: {entry['message']}")
    return lines


if __name__ == "__main__":
    problems = undefined(".")
    print("\n".join(problems) or "Every name is defined.")
    sys.exit(bool(problems))
