"""Examples in pages, run as tests."""

import re
from pathlib import Path
from typing import Any


def run_examples(page: Path) -> dict[str, Any]:
    """Execute every Python block of a Markdown page, one after the other, in one namespace, and return it."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks, f"{page} has no example"
    scope: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{page}, example {number}", "exec"), scope)
    return scope
