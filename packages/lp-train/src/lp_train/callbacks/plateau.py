"""Lower the learning rate when validation no longer improves."""

from typing import Any

import pytorch_lightning as pl


class Plateau(pl.Callback):
    """Multiplies the tracker's `plateau_factor` by `gamma` after `patience` validations without a lower loss."""

    def __init__(self, gamma: float, patience: int, monitor: str = "val_supervised_loss") -> None:
        self.gamma, self.patience, self.monitor = gamma, patience, monitor
        self.best, self.waited = float("inf"), 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics[self.monitor])
        self.waited = 0 if value < self.best else self.waited + 1
        self.best = min(self.best, value)
        if self.waited >= self.patience:
            pl_module.plateau_factor.mul_(self.gamma)
            self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.waited = state_dict["best"], state_dict["waited"]
