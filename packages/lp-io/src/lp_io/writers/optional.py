"""Libraries that only one layout needs."""

from importlib import import_module
from typing import Any

from lp_core import ConfigError


def needed(layout: str, module: str, package: str, extra: str) -> Any:
    """The imported `module`.

    Raises:
        ConfigError: `package` is not installed; names the extra that brings it.
    """
    try:
        return import_module(module)
    except ImportError as e:
        raise ConfigError(f"format={layout} needs the package {package}; pip install 'lp-io[{extra}]'.") from e
