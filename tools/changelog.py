"""Join the fragments in changes/ into CHANGELOG.md, under a version, and remove them: a step of a release.

python tools/changelog.py 0.2.0
"""

import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAD = "# Changes\n\nWhat users notice, newest first.\n"
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def fragments(root: Path) -> list[Path]:
    """The files of changes/ that say what changed, in order of their names."""
    return [f for f in sorted((root / "changes").glob("*.md")) if f.name != "README.md"]


def entry(version: str, day: datetime.date, texts: list[str]) -> str:
    """A version's part of the changelog: one item per fragment."""
    items = ["- " + "\n  ".join(text.strip().splitlines()) for text in texts]
    return "\n".join([f"## {version} ({day.isoformat()})", "", *items, ""])


def joined(changelog: str, new: str) -> str:
    """The changelog with a new part on top of the older ones."""
    older = changelog.removeprefix(HEAD).strip("\n")
    return f"{HEAD}\n{new}" + (f"\n{older}\n" if older else "")


def refusal(root: Path, version: str, changelog: str) -> str:
    """Why nothing can be joined, in one sentence."""
    if not VERSION.fullmatch(version):
        return f"`{version}` is no version: write it like 0.2.0 or 0.2.0rc1."
    if f"\n## {version} " in changelog:
        return f"CHANGELOG.md has {version} already: give the next version."
    return "" if fragments(root) else "changes/ has no fragments: nothing that users notice changed."


def release(root: Path, version: str, day: datetime.date) -> str:
    """Write CHANGELOG.md and remove the fragments; returns why not, if not."""
    file = root / "CHANGELOG.md"
    changelog = file.read_text() if file.exists() else ""
    if problem := refusal(root, version, changelog):
        return problem
    texts = [f.read_text() for f in fragments(root)]
    waiting = file.with_suffix(".md.new")
    waiting.write_text(joined(changelog, entry(version, day, texts)))
    waiting.replace(file)
    for fragment in fragments(root):
        fragment.unlink()
    return ""


def main(words: list[str]) -> int:
    """Join, or say in one sentence why not."""
    if len(words) != 1:
        print("Give one version: python tools/changelog.py 0.2.0")
        return 1
    problem = release(ROOT, words[0], datetime.datetime.now(datetime.UTC).date())
    print(problem or f"CHANGELOG.md has {words[0]} now, and changes/ is empty.")
    return bool(problem)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
