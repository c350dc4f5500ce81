"""Where work is done: processes of this machine, Ray, SLURM. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lp_core import ConfigError
from lp_core.registry import nearest

Task = Callable[[], Any]
NAMES = ("processes", "ray", "slurm")


@dataclass(frozen=True, slots=True)
class Done:
    """A task that is over.

    Attributes:
        key: as submitted.
        value: what it gave.
        lost: if it gave nothing, because its worker was lost: how.
    """

    key: int
    value: Any = None
    lost: str = ""


@runtime_checkable
class Cluster(Protocol):
    """Does tasks in other processes. A task is a callable that can be pickled and does not raise.

    Attributes:
        workers: tasks that are done at once.
        threads: CPU threads that a worker should use.
        stays: a worker does one task after another; otherwise each task waits in a queue and begins from nothing.
    """

    workers: int
    threads: int
    stays: bool

    def submit(self, key: int, task: Task) -> None:
        """Have `task` done as soon as a worker is free."""
        ...

    def wait(self, seconds: float) -> list[Done]:
        """Those that are over, none if none is within `seconds`; each task once."""
        ...

    def close(self) -> None:
        """Stop all work at once."""
        ...


def open_cluster(text: str, workers: int | None, folder: Path, device: str = "auto") -> Cluster:
    """The cluster that a line of configuration names.

    Args:
        text: `processes`, `ray`, `ray,address=auto`, `slurm,partition=gpu,time=240,gpus=1`: a name and its options.
        workers: how many; what there is if None.
        folder: for files of its own, seen by all machines.
        device: of the prediction; on `cpu` no GPU is asked for.

    Raises:
        ConfigError: no such cluster or option, or its library is not installed.
    """
    name, *words = [word.strip() for word in text.split(",")]
    options: dict[str, Any] = dict(map(_option, words))
    if device == "cpu" and name in ("ray", "slurm"):
        options.setdefault("gpus", 0)
    if name == "processes":
        from lp_infer.processes import Processes

        return _made(Processes, name, workers=workers, **options)
    if name == "ray":
        from lp_infer.ray_cluster import Ray

        return _made(Ray, name, workers=workers, **options)
    if name == "slurm":
        from lp_infer.slurm_cluster import Slurm

        return _made(Slurm, name, folder=folder, workers=workers, **options)
    raise ConfigError(f"cluster={name!r} is not known{nearest(name, list(NAMES))} Choose one of {', '.join(NAMES)}.")


def need(module: str, extra: str) -> None:
    """Say how to install a library that is absent.

    Raises:
        ConfigError: it is absent.
    """
    if not find_spec(module):
        raise ConfigError(f"cluster={extra} is not installed; pip install 'lp-infer[{extra}]'")


def _option(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(
            f"cluster=…,{word} is not key=value; write cluster=slurm,partition=gpu,time=240 for instance."
        )
    return key, int(value) if value.lstrip("-").isdigit() else value


def _made(kind: Callable[..., Cluster], name: str, **options: Any) -> Cluster:
    try:
        return kind(**options)
    except TypeError as e:
        raise ConfigError(f"cluster={name}: {str(e).rpartition('() ')[2]}; see lpose predict --help.") from e
