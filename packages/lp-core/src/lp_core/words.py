"""What a user typed: the elements of a list, and the name that was meant."""

import difflib
import re

from lp_core.errors import ConfigError

ELEMENT = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,'"\s][^,]*?)?)\s*(?:,|$)""")


def listed(text: str) -> list[str]:
    """The elements of `[a,b]`, `a,b` or `a`; one with a comma in it is in quotes. Empty ones are left out.

    Raises:
        ConfigError: a quote that begins an element does not end with it.
    """
    text = text.strip()
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    found, place = [], 0
    while place < len(inner):
        if not (match := ELEMENT.match(inner, place)):
            raise ConfigError(
                f"{text} cannot be read as a list: {inner[place:].strip()[0]} does not end where a name ends; write "
                """names with commas as in '["a, b",c]'."""
            )
        found.append(match[1] or match[2] or match[3])
        place = match.end()
    return [name for name in found if name]


def nearest(name: str, known: list[str]) -> str:
    """The end of a sentence about an unknown `name`: a `did you mean` question, or a full stop if nothing is near.

    Near is what has all words of `name` or begins with it (`pca`, `max_epochs`), and what differs by few letters.
    """
    wanted, places = name.casefold(), {key.casefold(): key for key in known}
    likely = [key for key in places if _words(wanted) <= _words(key) or (len(wanted) > 2 and key.startswith(wanted))]
    found = difflib.get_close_matches(wanted, likely, n=1, cutoff=0.0) if _words(wanted) else []
    found = found or difflib.get_close_matches(wanted, places, n=1, cutoff=0.7)
    found = found or [key for key in places if _one_letter_apart(wanted, key)]
    return f"; did you mean {places[found[0]]!r}?" if found else "."


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", name))


def _one_letter_apart(a: str, b: str) -> bool:
    changes = [c for c in difflib.SequenceMatcher(None, a, b).get_opcodes() if c[0] != "equal"]
    return len(a) > 2 and len(changes) == 1 and max(changes[0][2] - changes[0][1], changes[0][4] - changes[0][3]) == 1
