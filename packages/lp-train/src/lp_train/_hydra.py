"""The Hydra edge: overrides in, plain dataclasses out. The only module that knows Hydra and OmegaConf."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException
from lp_core import (
    ConfigError,
    LpError,
    PluginError,
    UnknownNameError,
    augmentations,
    backbones,
    clip_sources,
    detectors,
    heads,
    listed,
    losses,
    nearest,
)
from lp_core.registry import Registry
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lp_train.config import TrainConfig
from lp_train.models import expanded

GROUPS: dict[str, Registry[Any]] = {
    "backbone": backbones,
    "head": heads,
    "augmentation": augmentations,
    "clips": clip_sources,
    "detector": detectors,
    "losses": losses,
}


_published: dict[tuple[str, str], type] = {}


def _publish() -> None:
    """Copy every healthy installed part into Hydra's ConfigStore; a broken one is reported when it is asked for."""
    store = ConfigStore.instance()
    for group, registry in GROUPS.items():
        for name in registry:
            try:
                node = registry[name]
            except PluginError:
                continue
            if _published.get((group, name)) is not node:
                package = f"losses.{name}" if group == "losses" else group
                store.store(group=group, name=name, node=node, package=package, provider=registry.group)
                _published[group, name] = node
    store.store(name="train", node=TrainConfig)


def _literal(word: str) -> str:
    """The word, its value in quotes where Hydra's grammar would not take it as it is: umlauts, commas, apostrophes in names.

    Raises:
        ConfigError: it is not KEY=VALUE.
    """
    key, equals, value = word.partition("=")
    if not equals or not re.fullmatch(r"(?!hydra\b)[A-Za-z_][\w.]*", key):
        raise ConfigError(f"{word!r} is not KEY=VALUE of a configuration; write for instance training.max_epochs=50.")
    try:
        if not OverridesParser.create().parse_override(word).is_sweep_override():
            return word
    except HydraException:
        pass
    if re.fullmatch(r"\[[^\[\]{}]*\]", value):
        return f"{key}=[{','.join(map(_quoted, listed(value)))}]"
    if key in GROUPS or value.startswith("["):
        raise ConfigError(
            f"{word!r} cannot be read; write one name, or a list as in losses=[temporal,pca_multiview], names with commas "
            """as in '["a, b",c]'."""
        )
    return f"{key}={_quoted(value)}"


def _quoted(value: str) -> str:
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), value)
    return f"'{escaped}'"


def _check_choices(overrides: Sequence[str]) -> None:
    """Names of parts, checked against the registry, whose messages are better than Hydra's."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key in GROUPS and value:
            for name in listed(value):
                GROUPS[key][name]


def _known_keys(config: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for key in config:
        keys.append(f"{prefix}{key}")
        if not OmegaConf.is_missing(config, key) and isinstance(config[key], DictConfig):
            keys += _known_keys(config[key], f"{prefix}{key}.")
    return keys


def _readable(error: Exception, overrides: Sequence[str]) -> ConfigError:
    """Hydra's message as one sentence that names the override."""
    key = match.group(1) if (match := re.search(r"(?:override '|merging override )([^'=\s]+)", str(error))) else ""
    if str(error).startswith("Could not override"):
        root = hydra_compose("train", overrides=[o for o in overrides if o.partition("=")[0] in GROUPS])
        return ConfigError(f"There is no configuration key {key!r}{nearest(key, _known_keys(root))}")
    cause = str(error.__cause__ or error).partition("\n")[0]
    return ConfigError(f"The override {key!r} does not fit: {cause.rstrip('.')}; give another value." if key else cause)


def compose(overrides: Sequence[str]) -> TrainConfig:
    """Hydra overrides (`training.max_epochs=5`, `losses=[temporal]`), and `model=NAME` for those of one of DeepLabCut's
    models → a checked configuration.

    Raises:
        ConfigError: an unknown key, a value of the wrong type or out of range.
        UnknownNameError: a part that is not installed.
    """
    return _to_object(_composed(expanded(list(overrides))))


def _composed(overrides: Sequence[str]) -> DictConfig:
    _publish()
    overrides = [_literal(word) for word in overrides]
    _check_choices(overrides)
    with initialize(version_base="1.3", config_path=None):
        try:
            return hydra_compose("train", overrides=list(overrides))
        except (ConfigCompositionException, HydraException, OmegaConfBaseException) as e:
            raise _readable(e, overrides) from e


def _to_object(config: DictConfig) -> TrainConfig:
    try:
        run = OmegaConf.to_object(config)
    except LpError:
        raise
    except OmegaConfBaseException as e:
        if isinstance(e.__cause__, LpError):
            raise e.__cause__ from e
        raise ConfigError(str(e).partition("\n")[0]) from e
    assert isinstance(run, TrainConfig)
    return run


def part_name(registry: Registry[Any], config: object) -> str:
    """The name under which the class of `config` is installed."""
    for name in registry:
        try:
            if registry[name] is type(config):
                return name
        except PluginError:
            continue
    raise ConfigError(f"{type(config).__name__} is not installed in {registry.group}; register it under a name.")


def save(config: TrainConfig, path: Path) -> None:
    """Write `config.yaml`: the chosen parts under `parts`, then every value."""
    values = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    assert isinstance(values, dict)
    values.pop("defaults", None)
    parts: dict[str, Any] = {g: part_name(r, getattr(config, g)) for g, r in GROUPS.items() if g != "losses"}
    parts["losses"] = list(config.losses)
    path.write_text(yaml.safe_dump({"parts": parts, **values}, sort_keys=False))


def load(path: Path) -> TrainConfig:
    """Read a `config.yaml` that `save` wrote.

    Raises:
        ConfigError: missing, not ours, or made for parts that are not installed.
    """
    _publish()
    text = path.read_text() if path.is_file() else ""
    return deepcopy(_kept(path, text, tuple(_published.items())))


@lru_cache(maxsize=8)
def _kept(path: Path, text: str, parts: tuple[tuple[tuple[str, str], type], ...]) -> TrainConfig:
    """A training asks for its configuration in many places, and Hydra takes a third of a second each time."""
    return read([], path)


def read(overrides: Sequence[str], path: Path | None = None) -> TrainConfig:
    """The configuration in `path`, if given, with overrides as in `compose`; another part than in the file starts from its
    own defaults.

    Raises:
        ConfigError: as in `compose` and `load`.
    """
    words = expanded(list(overrides))
    if path is None:
        return _to_object(_composed(words))
    values = _values(path)
    parts, given = dict(values.pop("parts")), {word.partition("=")[0] for word in words}
    choices = [f"{group}={parts[group]}" for group in GROUPS if group in parts and group != "losses"]
    choices.append(f"losses=[{','.join(parts.get('losses', []))}]")  # older runs name fewer parts
    _check_choices(words)
    try:
        config = _composed([*(c for c in choices if c.partition("=")[0] not in given), *words])
    except UnknownNameError as e:
        raise UnknownNameError(f"{path} needs a part that is not installed here: {e}") from e
    kept = {key: value for key, value in values.items() if key not in given}
    if "losses" in given:
        kept["losses"] = {name: value for name, value in values.get("losses", {}).items() if name in config.losses}
    try:
        merged = OmegaConf.merge(config, kept)
        for key in given - set(GROUPS):
            OmegaConf.update(merged, key, OmegaConf.select(config, key))
    except OmegaConfBaseException as e:
        raise ConfigError(f"{path}: {str(e).partition(chr(10))[0]}") from e
    assert isinstance(merged, DictConfig)
    return _to_object(merged)


def _values(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist; run=DIR must be the directory of a run, --config FILE a file that lpose wrote."
        ) from None
    except yaml.YAMLError as e:
        raise ConfigError(f"{path} is not valid YAML: {str(e).splitlines()[0]}.") from e
    if not isinstance(values, Mapping) or "parts" not in values:
        raise ConfigError(
            f"{path} was not written by lpose; run=DIR must be the directory of a run, --config FILE a file that it wrote."
        )
    return dict(values)
