"""The public names of every package, compared with the snapshots `packages/*/api.txt`.

python tools/api.py            one sentence per name that changed
python tools/api.py --write    write the snapshots anew
python tools/api.py --since=REF   the change at hand begins at REF (default: what is not committed, or else the last commit)

Public are the names in `__all__` of a package and of its modules, the protocols and suites of lp_core, and the parts that
entry points name; of a class, its public methods, attributes and fields. Sources are read, never imported.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
OPEN = ("lp_core.tensors", "lp_core.testing")  # without `__all__`: every name defined there is public
LONGEST = 200  # characters of a value that still says what it is
SPECIAL = {"__init__", "__call__", "__iter__", "__next__", "__len__", "__getitem__", "__contains__", "__enter__"}
REMEDY = "If that is meant, run `python tools/api.py --write` and say what it means for users in changes/<name>.md."
UNTOLD = (
    "Public names changed, but no file in changes/ tells users: add changes/<name>.md (changes/README.md says how)."
)


def packages(root: Path) -> list[Path]:
    """The folders of all packages that contain code."""
    return [p for p in [*sorted(root.glob("packages/*")), root / "apps"] if list(p.glob("src/*/__init__.py"))]


def loaded(folders: list[Path]) -> dict[Path, griffe.Module]:
    """The sources of all packages, read together: they name one another's classes."""
    loader = griffe.GriffeLoader(search_paths=[p / "src" for p in folders], allow_inspection=False)
    found = {p: loader.load(next(p.glob("src/*/__init__.py")).parent.name) for p in folders}
    loader.resolve_aliases(external=False)
    return found


def snapshot(package: Path, module: griffe.Module) -> dict[str, str]:
    """Public names of one package, and of each what a user of it relies on."""
    lines = {}
    for path, member in front_door(module):
        lines |= describe(path, resolved(member))
    for group, part, target in entry_points(package):
        lines[f"{group} {part}"] = target
        lines |= options(f"{group} {part}", module, target)
    return lines


def front_door(module: griffe.Module) -> Iterator[tuple[str, griffe.Object | griffe.Alias]]:
    """What `__all__` of a module and of those in it names, and all of the modules in `OPEN`."""
    names = module.exports or [n for n, m in module.members.items() if module.path.startswith(OPEN) and defined(m)]
    for name in names:
        yield f"{module.path}.{name}", module.members[str(name)]
    for inner in module.modules.values():
        if not inner.is_alias and not inner.name.startswith("_") and (inner.exports or inner.path.startswith(OPEN)):
            yield from front_door(inner)


def defined(member: griffe.Object | griffe.Alias) -> bool:
    """Whether a member of a module is a public class or function written there."""
    written_there = not member.is_alias and (member.is_class or member.is_function)
    return written_there and not member.name.startswith(("_", "test_"))


def resolved(member: griffe.Object | griffe.Alias) -> griffe.Object:
    """What an imported name stands for; what cannot be read in the sources (`A, B = range(2)`) counts as a value."""
    try:
        found = member.final_target if isinstance(member, griffe.Alias) else member
    except griffe.AliasResolutionError:
        return griffe.Attribute(member.name)
    return resolved(found.members[found.name]) if found.is_module else found  # `from lp_io.ahead import ahead`


def entry_points(package: Path) -> list[tuple[str, str, str]]:
    """Group, name and target of every part that a package offers."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    groups = {"scripts": project.get("scripts", {})} | project.get("entry-points", {})
    return [(group, name, target) for group, parts in groups.items() for name, target in parts.items()]


def options(path: str, module: griffe.Module, target: str) -> dict[str, str]:
    """The fields of the configuration that an entry point names: users set them on the command line."""
    where, _, name = target.partition(":")
    member = resolved(module[f"{where.removeprefix(f'{module.path}.')}.{name}"])
    if not member.is_class:
        return {}
    return {f"{path}.{n}": field(m) for n, m in fields(member).items()}


def fields(member: griffe.Class) -> dict[str, griffe.Attribute]:
    """The public annotated attributes of a class, those it inherits included."""
    members = {n: resolved(m) for n, m in member.all_members.items() if not n.startswith("_")}
    return {n: m for n, m in members.items() if m.is_attribute and m.annotation is not None}


def describe(path: str, member: griffe.Object) -> dict[str, str]:
    """A public object and, if it is a class, its public members."""
    if member.is_function:
        return {path: signature(member)}
    if not member.is_class:
        return {path: field(member)}
    lines = {path: f"class({', '.join(map(str, member.bases))})"}
    for name, inner in sorted(member.all_members.items()):
        if not name.startswith(("_", "test_")) or (name in SPECIAL and not generated(member, name)):
            lines[f"{path}.{name}"] = part(resolved(inner))
    return lines


def generated(member: griffe.Class, name: str) -> bool:
    """Whether a class takes its fields by keyword only: then they say all that its `__init__` would."""
    return name == "__init__" and any("kw_only=True" in str(d.value) for d in member.decorators)


def part(member: griffe.Object) -> str:
    """A member of a class."""
    return signature(member) if member.is_function else field(member)


def signature(function: griffe.Function) -> str:
    """Parameters with types and defaults, and what comes back."""
    shown, star = [], False
    for p in function.parameters:
        if p.kind is griffe.ParameterKind.keyword_only and not star:
            shown.append("*")
        star = star or p.kind in (griffe.ParameterKind.keyword_only, griffe.ParameterKind.var_positional)
        shown.append(parameter(p))
    return f"({', '.join(shown)}) -> {function.returns}" if function.returns else f"({', '.join(shown)})"


def parameter(p: griffe.Parameter) -> str:
    """One parameter, as in source."""
    stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(p.kind, "")
    kind = f": {p.annotation}" if p.annotation else ""
    default = f" = {p.default}" if p.default is not None and not stars else ""
    return f"{stars}{p.name}{kind}{default}"


def field(member: griffe.Attribute) -> str:
    """Type and default; what `__init__` assigns is named only, for how it is computed may change."""
    kind = str(member.annotation) if member.annotation else "a value"
    constant = "instance-attribute" not in member.labels or "class-attribute" in member.labels
    shown = constant and member.value is not None and len(str(member.value)) <= LONGEST
    return f"{kind} = {member.value}" if shown else kind


def written(lines: dict[str, str]) -> str:
    """A snapshot as text: one name per line, in order, two spaces, and what it is."""
    return "".join(f"{name}  {' '.join(lines[name].split())}\n" for name in sorted(lines))


def differences(old: str, new: str) -> list[str]:
    """One sentence per name that differs."""
    before, after = (dict(line.partition("  ")[::2] for line in text.splitlines()) for text in (old, new))
    names = [n for n in sorted(before | after) if before.get(n) != after.get(n)]
    return [sentence(n, before.get(n), after.get(n)) for n in names]


def sentence(name: str, before: str | None, after: str | None) -> str:
    """What happened to one name."""
    if after is None:
        return f"{name} was removed."
    return f"{name} is new." if before is None else f"{name} changed from `{before}` to `{after}`."


def untold(root: Path, since: str | None) -> bool:
    """Whether the change at hand touches a snapshot but adds or edits no fragment."""
    files = changed_files(root, since)
    snapshots = [f for f in files if f.endswith("/api.txt")]
    fragments = [f for f in files if f.startswith("changes/") and f.endswith(".md") and f != "changes/README.md"]
    return bool(snapshots) and not fragments


def changed_files(root: Path, since: str | None) -> list[str]:
    """Files added or edited since a commit; where nothing is said, those not committed, or else those of the last commit."""
    if since:
        return [*git(root, "diff", "--name-only", "--diff-filter=d", since), *unknown_to_git(root)]
    pending = [*git(root, "diff", "--name-only", "--diff-filter=d", "HEAD"), *unknown_to_git(root)]
    return pending or git(root, "show", "--name-only", "--diff-filter=d", "--format=", "HEAD")


def unknown_to_git(root: Path) -> list[str]:
    """Files that are new and not ignored."""
    return git(root, "ls-files", "--others", "--exclude-standard")


def git(root: Path, *words: str) -> list[str]:
    """Lines that git prints; none where there is no repository."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True).stdout.splitlines()


def compare(root: Path, write: bool) -> list[str]:
    """What changed in any package; with `write`, the snapshots are written too."""
    found = []
    for package, module in loaded(packages(root)).items():
        file, new = package / "api.txt", written(snapshot(package, module))
        found += differences(file.read_text() if file.exists() else "", new)
        if write:
            file.write_text(new)
    return found


def main(words: list[str], root: Path = ROOT) -> int:
    """Print what changed; 1 if something is left to do."""
    write = "--write" in words
    since = next((w.partition("=")[2] for w in words if w.startswith("--since=")), None)
    found = compare(root, write)
    left = [] if write or not found else [REMEDY]
    left += [UNTOLD] if untold(root, since) else []
    print("\n".join([*found, *left]) or "No public name changed.")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
