"""Checkpoints beside the best one, written so that a crash in the middle leaves the previous ones whole."""

import re
import time
from pathlib import Path

import pytorch_lightning as pl

SNAPSHOT = re.compile(r"epoch=(\d+)-step=\d+\.ckpt")


def save_whole(trainer: pl.Trainer, path: Path) -> None:
    """Write under a temporary name, then rename: whoever is killed here leaves the previous file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    trainer.save_checkpoint(temporary)
    if trainer.is_global_zero:
        temporary.replace(path)


class ResumeCheckpoint(pl.Callback):
    """Writes the checkpoint to resume from at the end of an epoch, at most every `interval` seconds and at the end."""

    def __init__(self, path: Path, interval: float) -> None:
        self.path, self.interval = path, interval
        self._saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        due = last or time.monotonic() - self._saved >= self.interval
        if trainer.strategy.broadcast(due):  # saving waits for every process: all of them must think it is due
            save_whole(trainer, self.path)
            self._saved = time.monotonic()


class Snapshots(pl.Callback):
    """Writes `epoch=E-step=S.ckpt` after every n-th epoch, then deletes the oldest of these but for the newest.

    What is deleted is known from the folder alone, so that a run that was killed in between makes up for it.

    Args:
        keep: how many stay; None = all.
    """

    def __init__(self, folder: Path, every: int, keep: int | None = None) -> None:
        self.folder, self.every, self.keep = folder, every, keep

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every:
            return
        save_whole(trainer, self.folder / f"epoch={trainer.current_epoch}-step={trainer.global_step}.ckpt")
        if trainer.is_global_zero and self.keep:
            for path in snapshots(self.folder)[: -self.keep]:
                path.unlink(missing_ok=True)


def snapshots(folder: Path) -> list[Path]:
    """The periodic checkpoints, the oldest first."""
    found = [(int(m[1]), path) for path in folder.glob("*.ckpt") if (m := SNAPSHOT.fullmatch(path.name))]
    return [path for _, path in sorted(found)]
