"""TensorBoard on several runs, each under its name."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from lp_core import ConfigError

from lp_viz.viewers import Results, Viewer, ViewerConfig


@dataclass(slots=True, kw_only=True)
class TensorBoardConfig(ViewerConfig):
    """Learning curves, pictures and hyper-parameters of runs, in the browser.

    Attributes:
        port: of the page.
        host: who may see it; 0.0.0.0 = everybody on the network.
    """

    port: int = 6006
    host: str = "localhost"
    reads: str = field(default="nothing", init=False)

    def build(self) -> Viewer:
        if find_spec("tensorboard") is None:
            raise ConfigError("viewer=tensorboard needs TensorBoard; pip install tensorboard.")
        return TensorBoard(self.port, self.host)


@dataclass(frozen=True, slots=True)
class TensorBoard:
    """Starts the program and waits for its end."""

    port: int
    host: str

    def show(self, results: Results) -> None:
        """Runs until it is interrupted."""
        subprocess.run(self.command(results.runs), check=False)

    def command(self, runs: Mapping[str, Path]) -> list[str]:
        """What is started. `--logdir_spec` gives each run its name; a name or path it cannot hold falls back on paths."""
        where = [sys.executable, "-m", "tensorboard.main", "--port", str(self.port), "--host", self.host]
        if len(runs) == 1:
            return [*where, "--logdir", str(next(iter(runs.values())))]
        for name, path in runs.items():
            if {",", ":"} & set(f"{name}{path}"):
                raise ConfigError(f"TensorBoard cannot show several runs where a path has a comma or colon: {path}.")
        return [*where, "--logdir_spec", ",".join(f"{name}:{path}" for name, path in runs.items())]
