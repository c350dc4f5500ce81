"""What to say when a library is missing that somebody imports while a command runs."""

import sys
from importlib.metadata import packages_distributions
from types import TracebackType


def sentence(error: ImportError) -> str:
    """Who wanted what, and what to do about it."""
    owner = _importer(error.__traceback__)
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        return f"{owner} needs the module {module!r}, which is not installed here; pip install {module}, or uninstall {owner}."
    return f"{owner} fails to import: {error}; install it again, or uninstall it."


def _importer(trace: TracebackType | None) -> str:
    """The distribution whose code was running last, as far as it is none of Python's own."""
    package = "lp_apps"
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in sys.stdlib_module_names and name not in ("", "__main__"):
            package = name
        trace = trace.tb_next
    return packages_distributions().get(package, [package.replace("_", "-")])[0]
