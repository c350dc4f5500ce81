"""`key=value` words into a small dataclass, with types checked."""

import dataclasses
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

import yaml
from lp_core import ConfigError, nearest

T = TypeVar("T")


def parse(words: list[str], kind: type[T]) -> T:
    """Fill dataclass `kind` from words like `run=DIR`. `runtime.compile=true` is entry `compile` of `runtime_options`.

    Raises:
        ConfigError: not key=value, an unknown key, a value of the wrong type, or a required key left out.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not key=value; the keys are {_keys(fields)}.")
        group, _, name = key.partition(".")
        if name and f"{group}_options" in fields:
            values.setdefault(f"{group}_options", {})[name] = yaml.safe_load(text)
            continue
        if key not in fields:
            raise ConfigError(
                f"There is no option {key!r}{nearest(key, list(fields))} The options are {_keys(fields)}."
            )
        values[key] = _value(key, text, hints[key])
    required = {n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING}
    missing = [n for n in fields if n in required and n not in values]
    if missing:
        raise ConfigError(f"{' and '.join(f'{n}=…' for n in missing)} must be given.")
    return kind(**values)


def taken(words: list[str], flag: str) -> tuple[str | None, list[str]]:
    """The word after `flag`, if it is there, and all other words.

    Raises:
        ConfigError: nothing comes after it.
    """
    if flag not in words:
        return None, words
    at = words.index(flag)
    if at + 1 == len(words):
        raise ConfigError(f"{flag} needs a file: {flag} FILE.")
    return words[at + 1], words[:at] + words[at + 2 :]


def _keys(fields: Iterable[str]) -> str:
    """As they are written on the command line."""
    return ", ".join(f.replace("_options", ".KEY") for f in fields)


def _value(key: str, text: str, hint: Any) -> Any:
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if str in allowed:
        return text
    value = yaml.safe_load(text)
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, tuple(allowed)) or (isinstance(value, bool) and bool not in allowed):
        names = " or ".join("nothing" if a is type(None) else a.__name__ for a in allowed)
        raise ConfigError(f"{key}={text} must be of type {names}.")
    return value
