"""Docstrings that explain several names at once, for the reference: one entry for each name."""

import re
from typing import Any

import griffe

TOGETHER = re.compile(r"^( +)(\w+(?:, \w+)+): (.*)$")


class OneByOne(griffe.Extension):
    """Turns `a, b: what they are` into an entry for `a` and one for `b`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring before it is parsed."""
        if obj.docstring:
            obj.docstring.value = separated(obj.docstring.value)


def separated(text: str) -> str:
    """The docstring, with every entry of several names repeated under each of them."""
    lines, out = text.splitlines(), []
    while lines:
        line = lines.pop(0)
        if not (found := TOGETHER.match(line)):
            out.append(line)
            continue
        indent, names, what = found.groups()
        more = []
        while lines and lines[0].startswith(indent + "    "):
            more.append(lines.pop(0))
        for name in names.split(", "):
            out += [f"{indent}{name}: {what}", *more]
    return "\n".join(out)
