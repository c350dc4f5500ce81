"""lpose new plugin NAME kind=KIND [out=DIR] [author=WHO]

Makes a complete Python package that adds one part to lpose: code that works and is meant to be replaced, its tests with
the conformance suite of its kind, pyproject.toml with the entry point, README, licence and a workflow for GitHub. The
tests pass the moment it is made; installed with pip, the part is found by every command. Nothing here is edited.

KIND is loss, backbone, head, detector, augmentation, clip_source, metric, runtime, label_format, table_writer, tracker
or viewer.
NAME is the package's, my-loss for instance; the part is then called my_loss.

  out=NAME         the new directory; one that exists is never touched
  author=WHO       in the licence; "the authors of NAME" if not given
"""

from dataclasses import dataclass
from importlib.metadata import entry_points

from lp_core import ConfigError, nearest

from lp_apps.options import parse
from lp_apps.plugin_template import Plugin, check_kind, kinds, names_of, write

WHAT = ("plugin",)


@dataclass
class Options:
    """What `lpose new plugin` takes."""

    name: str
    kind: str | None = None
    out: str | None = None
    author: str | None = None


def run(words: list[str]) -> None:
    """Make the package, and say what to do with it."""
    what = words[0] if words else ""
    if what not in WHAT:
        wrong = f", not {what!r}{nearest(what, list(WHAT))}" if what else "."
        raise ConfigError(f"lpose new makes a plugin{wrong} Say lpose new plugin NAME kind=KIND.")
    options = parse(_as_keys(words[1:]), Options)
    if options.kind is None:
        raise ConfigError(f"kind=… must be given: one of {', '.join(kinds())}.")
    kind = check_kind(options.kind)
    name, package = names_of(options.name)
    if owners := [e.dist.name for e in entry_points(group=kind.group, name=package) if e.dist]:
        raise ConfigError(f"{kind.group}: {package!r} already comes from {owners[0]}; choose another NAME.")
    plugin = Plugin(name, package, kind, options.author or f"the authors of {name}")
    out = write(plugin, options.out or name)
    print(f"{out}: a package with the {kind.name} {package!r}, which {kind.does}")
    print(f"  {out / 'src' / package / f'{kind.module}.py'}  the part itself: put yours in its place")
    print(f"  {out / 'tests' / f'test_{kind.module}.py'}  its tests")
    print("Next:")
    place = out if out.is_absolute() else f"./{out.as_posix()}"
    for line in (f'python -m pip install -e "{place}[test]"', f"python -m pytest {out}", *plugin.use.splitlines()):
        print(f"  {line}")


def _as_keys(words: list[str]) -> list[str]:
    """`NAME`, `--kind loss` and `--kind=loss` as `name=NAME` and `kind=loss`."""
    out, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            if not equals and not rest:
                raise ConfigError(f"{word} needs a value: {word} VALUE, or {key}=VALUE.")
            out.append(f"{key}={value if equals else rest.pop(0)}")
        else:
            out.append(word if "=" in word else f"name={word}")
    return out
