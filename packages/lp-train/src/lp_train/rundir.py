"""The files of a run, under the names the reference gives them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lp_core import ConfigError


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths in the directory of one run."""

    root: Path

    @property
    def config(self) -> Path:
        """The complete configuration."""
        return self.root / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Versions, device, data hash, split: what it takes to trust and to repeat the run."""
        return self.root / "provenance.json"

    @property
    def poses(self) -> Path:
        """The labels of the training split, which metrics learn from."""
        return self.root / "training_poses.npz"

    @property
    def calibration(self) -> Path:
        """From confidence to sigma in pixels."""
        return self.root / "calibration.json"

    @property
    def conditions(self) -> Path:
        """A copy of the run whose poses a conditional network is told."""
        return self.root / "conditions"

    @property
    def logs(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tb_logs" / "model" / "version_0"

    @property
    def checkpoints(self) -> Path:
        """The best, last and periodic checkpoints."""
        return self.logs / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint that `training.resume=true` goes on from."""
        return self.checkpoints / "last.ckpt"

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.root / "metrics.csv"

    @property
    def video_predictions(self) -> Path:
        """Where predictions of videos go."""
        return self.root / "video_preds"

    def best(self) -> Path:
        """The checkpoint with the lowest validation loss, else the last.

        Raises:
            ConfigError: nothing was saved yet.
        """
        found = sorted(self.checkpoints.glob("*-best.ckpt"), key=os.path.getmtime)
        if found:
            return found[-1]
        if self.last.exists():
            return self.last
        raise ConfigError(f"{self.root} holds no checkpoint; train it first with lpose train out={self.root}.")

    def status(self, state: str) -> None:
        """Record TRAINING, EVALUATING or COMPLETED where the reference's tools look for it."""
        temporary = self.root / "train_status.json.tmp"
        temporary.write_text(json.dumps({"status": state}))
        temporary.replace(self.root / "train_status.json")
