"""Find parts by name through entry points. Nothing is imported until it is asked for."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from lp_core.configs import (
    AugmentationConfig,
    BackboneConfig,
    ClipSourceConfig,
    DetectorConfig,
    HeadConfig,
    LabelFormatConfig,
    LossConfig,
    MetricConfig,
    PredictorConfig,
    RuntimeConfig,
    TableWriterConfig,
    TargetGeneratorConfig,
    TrackerConfig,
)
from lp_core.errors import ConfigError, PluginError, UnknownNameError
from lp_core.words import nearest

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """One line of `lpose plugins`; `problem` is empty for a healthy part."""

    group: str
    name: str
    distribution: str
    doc: str = ""
    problem: str = ""


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else "unknown distribution"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("Config")).lower()


class Registry(Mapping[str, type[C]], Generic[C]):
    """Read-only mapping from a part's name to its config class, filled by whatever is installed.

    Args:
        group: entry-point group, `lp.losses` for instance.
        base: every config class of the group derives from it.
    """

    def __init__(self, group: str, base: type[C]) -> None:
        self.group, self.base = group, base
        self._local: dict[str, type[C]] = {}
        self._installed: dict[str, list[EntryPoint]] | None = None

    def register(self, name: str | type) -> Callable[[type[C]], type[C]]:
        """Decorator for a config class that lives in one script or notebook only; a second use replaces the first.

        Raises:
            PluginError: an installed distribution has the name already, the class does not fit the group, or no name is given.
        """
        if isinstance(name, type):  # the decorator without parentheses
            raise PluginError(f'{self.group}: give the part a name, register("{_snake(name.__name__)}").')

        def add(cls: type[C]) -> type[C]:
            if owners := self._entry_points.get(name):
                raise PluginError(
                    f"{self.group}: {name!r} already comes from {_distribution(owners[0])}; choose another name."
                )
            self._local[name] = self._checked(name, cls, "this session")
            return cls

        return add

    def make(self, name: str, **options: Any) -> C:
        """The config object of part `name` with `options` set.

        Raises:
            ConfigError: an option that the part does not have.
        """
        cls = self[name]
        known = [f.name for f in dataclasses.fields(cls)]  # pyright: ignore[reportArgumentType]
        for key in options:
            if key not in known:
                raise ConfigError(
                    f"{self.group}: {name!r} has no option {key!r}{nearest(key, known)} It has: {', '.join(known)}."
                )
        return cls(**options)

    def parts(self) -> list[PartInfo]:
        """Every part, healthy or not; a broken one does not hide the others."""
        return [self._info(name) for name in self]

    @property
    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        if self._installed is None:
            found: dict[str, list[EntryPoint]] = {}
            for ep in entry_points(group=self.group):
                same = found.setdefault(ep.name, [])
                if all((ep.value, _distribution(ep)) != (o.value, _distribution(o)) for o in same):
                    same.append(ep)
            self._installed = found
        return self._installed

    def _info(self, name: str) -> PartInfo:
        owners = ", ".join(_distribution(ep) for ep in self._entry_points.get(name, [])) or "this session"
        try:
            doc = (inspect.getdoc(self[name]) or "").partition("\n")[0]
        except PluginError as e:
            return PartInfo(group=self.group, name=name, distribution=owners, problem=str(e))
        return PartInfo(group=self.group, name=name, distribution=owners, doc=doc)

    def _checked(self, name: str, cls: Any, owner: str) -> type[C]:
        if not (inspect.isclass(cls) and issubclass(cls, self.base) and dataclasses.is_dataclass(cls)):
            raise PluginError(
                f"{self.group}: {name!r} of {owner} is not a dataclass derived from {self.base.__name__}."
            )
        return cls

    def __getitem__(self, name: str) -> type[C]:
        if name in self._local:
            return self._local[name]
        owners = self._entry_points.get(name)
        if not owners:
            raise UnknownNameError(
                f"{self.group} has no {name!r}{nearest(name, list(self))} Installed: {', '.join(self)}."
            )
        if len(owners) > 1:
            names = " and ".join(sorted(_distribution(ep) for ep in owners))
            raise PluginError(f"{self.group}: {name!r} is claimed by {names}; uninstall one of them.")
        owner = _distribution(owners[0])
        try:
            cls = owners[0].load()
        except Exception as e:  # whatever a foreign module raises on import must not take the others down
            repair = f"install {e.name}" if isinstance(e, ModuleNotFoundError) and e.name else "repair it"
            raise PluginError(
                f"{self.group}: {name!r} of {owner} fails to import ({type(e).__name__}: {e}); {repair}, or uninstall {owner}."
            ) from e
        return self._checked(name, cls, owner)

    def __contains__(self, name: object) -> bool:
        return name in self._local or name in self._entry_points

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._entry_points, *self._local}))

    def __len__(self) -> int:
        return len({*self._entry_points, *self._local})


backbones: Registry[BackboneConfig] = Registry("lp.backbones", BackboneConfig)
heads: Registry[HeadConfig] = Registry("lp.heads", HeadConfig)
target_generators: Registry[TargetGeneratorConfig] = Registry("lp.target_generators", TargetGeneratorConfig)
predictors: Registry[PredictorConfig] = Registry("lp.predictors", PredictorConfig)
losses: Registry[LossConfig] = Registry("lp.losses", LossConfig)
augmentations: Registry[AugmentationConfig] = Registry("lp.augmentations", AugmentationConfig)
label_formats: Registry[LabelFormatConfig] = Registry("lp.label_formats", LabelFormatConfig)
clip_sources: Registry[ClipSourceConfig] = Registry("lp.clip_sources", ClipSourceConfig)
metrics: Registry[MetricConfig] = Registry("lp.metrics", MetricConfig)
table_writers: Registry[TableWriterConfig] = Registry("lp.table_writers", TableWriterConfig)
runtimes: Registry[RuntimeConfig] = Registry("lp.runtimes", RuntimeConfig)
detectors: Registry[DetectorConfig] = Registry("lp.detectors", DetectorConfig)
trackers: Registry[TrackerConfig] = Registry("lp.trackers", TrackerConfig)

REGISTRIES: tuple[Registry[Any], ...] = (
    backbones, heads, target_generators, predictors, losses, augmentations, label_formats, clip_sources, metrics,
    runtimes, table_writers, detectors, trackers,
)  # fmt: skip
