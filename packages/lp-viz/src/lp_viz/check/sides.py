"""Which keypoints are left and right of one another, by their names."""

import re
from collections.abc import Sequence

_WORDS = re.compile(r"left|right", re.IGNORECASE)
_LETTERS = re.compile(  # earL, L_ear, ear.l, pawLF, paw1RH, FL_paw
    r"(?:(?<![A-Za-z])|(?<=[a-z0-9]))([LR])(?=[FHBM]?(?![A-Za-z]))"
    r"|(?<![A-Za-z])[FHBM]([LR])(?![A-Za-z])|(?<=[a-z0-9])[FHBM]([LR])(?![A-Za-z])"
    r"|(?<![A-Za-z])([lr])(?![A-Za-z])"
)


def side_of(name: str) -> tuple[str, str]:
    """The name without its side and digits, and the side: l, r or nothing."""
    if match := _WORDS.search(name):
        side, span = match.group()[0].lower(), match.span()
    elif match := _LETTERS.search(name):
        number = next(n for n in range(1, 5) if match.group(n))
        side, span = match.group(number).lower(), match.span(number)
    else:
        return name, ""
    return re.sub(r"\d", "", f"{name[: span[0]]}*{name[span[1] :]}").lower(), side


def side_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Columns (left, right) whose names differ in the side only; digits do not count (`paw1LH`, `paw4RH`)."""
    found: dict[str, dict[str, list[int]]] = {}
    for column, name in enumerate(names):
        rest, side = side_of(name)
        if side:
            found.setdefault(rest, {}).setdefault(side, []).append(column)
    return [(s["l"][0], s["r"][0]) for s in found.values() if len(s.get("l", [])) == 1 == len(s.get("r", []))]
