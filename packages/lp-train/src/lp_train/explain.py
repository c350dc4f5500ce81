"""A configuration for people and editors: where each value comes from, and a schema of what may be there."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lp_core import PluginError

from lp_train._hydra import GROUPS, part_name, read
from lp_train.config import TrainConfig
from lp_train.models import expanded

HIDDEN = ("defaults",)  # Hydra's own
SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", types.NoneType: "null"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a configuration; `origin` says who decided its value."""

    key: str
    value: Any
    origin: str
    doc: str


def explained(overrides: Sequence[str], file: Path | None = None) -> list[Setting]:
    """Every setting of the configuration that these words (and file) make.

    Raises:
        ConfigError: as `compose` and `read` do.
    """
    config = read(overrides, file)
    given = {word.partition("=")[0] for word in overrides}
    model = next((word for word in overrides if word.startswith("model=")), "")
    from_model = {word.partition("=")[0] for word in expanded(list(overrides))} - given
    in_file = {key for key, _ in leaves(yaml.safe_load(file.read_text()))} if file else set()
    parts = {
        group: part_name(registry, getattr(config, group)) for group, registry in GROUPS.items() if group != "losses"
    }

    def origin(key: str) -> str:
        path = key.split(".")
        starts = {".".join(path[:n]) for n in range(2 if path[0] in GROUPS else 1, len(path) + 1)} | {key}
        if starts & given:
            return "given"
        if starts & from_model:
            return model
        if key in in_file:
            return str(file)
        part = path[1] if path[0] == "losses" and len(path) > 2 else parts.get(path[0])
        return f"default of {part}" if part else "default"

    def chosen(group: str) -> str:
        found = origin(group) if group in given | from_model else ""
        return found or (str(file) if f"parts.{group}" in in_file else "default")

    choices = {**parts, "losses": list(config.losses)}
    return [Setting(f"parts.{group}", choice, chosen(group), "") for group, choice in choices.items()] + [
        Setting(key, value, origin(key), doc) for key, value, doc in _settings(config)
    ]


def as_yaml(settings: Sequence[Setting], *, docs: bool = False) -> str:
    """A file that `lpose train --config FILE` takes, with a comment at each value."""
    lines, open_keys = [], []
    for setting in settings:
        *groups, key = setting.key.split(".")
        shared = next((n for n, pair in enumerate(zip(open_keys, groups, strict=False)) if pair[0] != pair[1]), None)
        shared = min(len(open_keys), len(groups)) if shared is None else shared
        lines += [f"{'  ' * n}{group}:" for n, group in enumerate(groups) if n >= shared]
        open_keys, indent = groups, "  " * len(groups)
        if docs and setting.doc:
            lines.append(f"{indent}# {setting.doc}")
        value = yaml.safe_dump(setting.value, default_flow_style=True, width=1000).removesuffix("\n...\n").rstrip("\n")
        lines.append(f"{indent + key + ': ' + value:<48}  # {setting.origin}")
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of `config.yaml`: what is installed, what each part may be told, and what it means."""
    properties, choices, rules = _of_class(TrainConfig)["properties"], {}, []
    for group, registry in GROUPS.items():
        classes = {}
        for name in registry:
            try:
                classes[name] = registry[name]
            except PluginError:
                continue
        choices[group] = {"enum": list(classes)}
        if group == "losses":
            choices[group] = {"type": "array", "items": choices[group]}
            losses = {name: _of_class(cls) for name, cls in classes.items()}
            properties[group] = {"type": "object", "properties": losses, "additionalProperties": False}
            continue
        properties[group] = {"type": "object"}
        for name, cls in classes.items():
            chosen = {"properties": {"parts": {"properties": {group: {"const": name}}, "required": [group]}}}
            rules.append({"if": chosen, "then": {"properties": {group: _of_class(cls)}}})
    properties = {"parts": {"type": "object", "properties": choices, "additionalProperties": False}, **properties}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lpose train",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": ["parts"],
        "allOf": rules,
    }


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything that is not itself a mapping."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _settings(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(dotted key, value, what it means) of each field, in order."""
    docs = field_docs(type(config))
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), f"{prefix}{field.name}"
        if field.name in HIDDEN and not prefix:
            continue
        if dataclasses.is_dataclass(value):
            yield from _settings(value, f"{key}.")
        elif isinstance(value, Mapping) and any(map(dataclasses.is_dataclass, value.values())):
            for name, part in value.items():
                yield from _settings(part, f"{key}.{name}.")
        else:
            yield key, value, docs.get(field.name, "")


def field_docs(cls: type) -> dict[str, str]:
    """What the `Attributes:` of a config's docstring says of each field; names may share a line: `train, val: shares`."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = (inspect.getdoc(base) or "").partition("Attributes:\n")[2] if dataclasses.is_dataclass(base) else ""
        for names, text in re.findall(r"^    (\w[\w, ]*): (.*(?:\n        .*)*)", section, re.MULTILINE):
            found |= dict.fromkeys(re.split(r",\s*", names), " ".join(text.split()))
    return found


def _of_class(cls: type) -> dict[str, Any]:
    """The schema of a config class."""
    hints, docs, properties = typing.get_type_hints(cls), field_docs(cls), {}
    for field in dataclasses.fields(cls):  # pyright: ignore[reportArgumentType]
        if field.name in HIDDEN and cls is TrainConfig:
            continue
        entry = _of_type(hints[field.name])
        if docs.get(field.name):
            entry["description"] = docs[field.name]
        if isinstance(field.default, bool | int | float | str) and field.default != "???":
            entry["default"] = field.default
        properties[field.name] = entry
    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    return {"type": "object", "description": summary, "properties": properties, "additionalProperties": False}


def _of_type(hint: Any) -> dict[str, Any]:
    """The schema of a type annotation; empty, which allows everything, for those that are checked elsewhere."""
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return {"anyOf": [_of_type(option) for option in typing.get_args(hint)]}
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": _of_type(typing.get_args(hint)[0])}
    if typing.get_origin(hint) is dict:
        return {"type": "object"}
    return _of_class(hint) if dataclasses.is_dataclass(hint) and isinstance(hint, type) else {}
