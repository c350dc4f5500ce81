"""The checkpoint to resume from, written so that a crash in the middle leaves the previous one whole."""

import time
from pathlib import Path

import pytorch_lightning as pl


class ResumeCheckpoint(pl.Callback):
    """Writes the checkpoint to resume from at the end of an epoch, at most every `interval` seconds and at the end."""

    def __init__(self, path: Path, interval: float) -> None:
        self.path, self.interval = path, interval
        self._saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        due = last or time.monotonic() - self._saved >= self.interval
        if trainer.strategy.broadcast(due):  # saving waits for every process: all of them must think it is due
            self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Write under a temporary name, then rename: whoever is killed here leaves the previous one whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            temporary.replace(self.path)
        self._saved = time.monotonic()
