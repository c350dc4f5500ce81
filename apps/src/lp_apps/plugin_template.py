"""Packages made from the templates in `templates/plugin`: a folder per kind, and `common` for all."""

import datetime
import keyword
import re
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from string import Template

from lp_core import ConfigError, nearest

PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # of a distribution, PEP 508
COMMON = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    "gitignore": ".gitignore",
    "test.yml": ".github/workflows/test.yml",
    "init.py": "src/$package/__init__.py",
    "py.typed": "src/$package/py.typed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What `kind.toml` says of a kind of part.

    Attributes:
        group: of entry points.
        module, config: file and class that the entry point names.
        does: what the example computes; ends the sentence "a part which …".
        dependencies, test_dependencies: with the version wherever it is not ours.
        use: commands, one per line.
        options: a sentence on how options are given.
    """

    name: str
    group: str
    module: str
    config: str
    does: str
    use: str
    dependencies: list[str]
    test_dependencies: list[str]
    options: str = "Options are the fields of `$config` in `src/$package/$module.py`."

    @property
    def suite(self) -> str:
        """Where the suite of its kind is, in a sentence; empty if it has none."""
        module = f"lp_core.testing.{self.name}"
        name = f"{self.name.title().replace('_', '')}Contract"
        return (
            f"The tests begin with `{name}` of `{module}`, which is what every {self.name} must do. "
            if find_spec(module)
            else ""
        )


@dataclass(frozen=True, slots=True)
class Plugin:
    """What is filled into the templates.

    Attributes:
        name: of the distribution.
        package: to import, and the name of the part.
    """

    name: str
    package: str
    kind: Kind
    author: str

    @property
    def values(self) -> dict[str, str]:
        """By their names in the templates."""
        kind = self.kind
        places = {"config": kind.config, "package": self.package, "module": kind.module}
        return {
            "name": self.name, "package": self.package, "part": self.package, "author": self.author,
            "year": str(datetime.date.today().year), "kind": kind.name, "group": kind.group, "module": kind.module,
            "config": kind.config, "does": kind.does, "suite": kind.suite, "use": self.use,
            "options": Template(kind.options).substitute(places),
            "dependencies": _lines(kind.dependencies), "test_dependencies": _lines(kind.test_dependencies),
        }  # fmt: skip

    @property
    def use(self) -> str:
        """The commands that use the part."""
        return Template(self.kind.use).substitute(part=self.package).strip()


def kinds() -> list[str]:
    """The kinds there are templates for."""
    return sorted(f.name for f in _templates().iterdir() if f.joinpath("kind.toml").is_file())


def check_kind(name: str) -> Kind:
    """What is known of kind `name`.

    Raises:
        ConfigError: there is no such kind.
    """
    wanted = name.strip().lower().replace("-", "_")
    if wanted not in kinds():
        raise ConfigError(f"kind={name} is unknown{nearest(wanted, kinds())} Choose one of {', '.join(kinds())}.")
    facts = tomllib.loads(_templates().joinpath(wanted, "kind.toml").read_text(encoding="utf-8"))
    return Kind(name=wanted, **facts)


def names_of(name: str) -> tuple[str, str]:
    """Of a distribution: its normalised name (PEP 503), and that of its package.

    Raises:
        ConfigError: it cannot be both, or the package exists already.
    """
    normal = re.sub(r"[-_.]+", "-", name).lower()
    package = normal.replace("-", "_")
    if not PYPI_NAME.fullmatch(name) or not package.isidentifier():
        raise ConfigError(
            f"NAME={name!r} must be letters, digits and hyphens and begin with a letter, as in my-loss; choose another."
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise ConfigError(f"NAME={name!r} is a word of Python's; choose another, my-{normal} for instance.")
    found = find_spec(package)
    if found is not None and found.origin is not None:
        raise ConfigError(f"NAME={name!r}: a module {package!r} exists already ({found.origin}); choose another NAME.")
    return normal, package


def write(plugin: Plugin, out: str | Path) -> Path:
    """Make the directory `out`, all of it or nothing.

    Raises:
        ConfigError: it exists.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise ConfigError(f"{out} exists, and nothing in it is replaced; give another out=DIR.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".lpose-new-") as folder:
        made = Path(folder) / "plugin"
        for path, text in _texts(plugin).items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, encoding="utf-8", newline="\n")
        made.rename(out)
    return out


def _texts(plugin: Plugin) -> dict[str, str]:
    """The files of the package, by path."""
    kind = plugin.kind
    own = {"part.py": f"src/$package/{kind.module}.py", "test_part.py": f"tests/test_{kind.module}.py"}
    sources = {("common", name): path for name, path in COMMON.items()}
    sources |= {(kind.name, name): path for name, path in own.items()}
    values = plugin.values
    return {
        Template(path).substitute(values): Template(
            _templates().joinpath(folder, f"{name}.tmpl").read_text(encoding="utf-8")
        ).substitute(values)
        for (folder, name), path in sources.items()
    }


def _lines(requirements: list[str]) -> str:
    """As items of a list in TOML; our own packages from the version on that is installed here."""
    ours = version("lp-core")
    whole = [f"{r}>={ours}" if r.startswith("lp-") else r for r in requirements]
    return "\n".join(f'    "{requirement}",' for requirement in whole)


def _templates() -> Traversable:
    return files("lp_apps").joinpath("templates", "plugin")
