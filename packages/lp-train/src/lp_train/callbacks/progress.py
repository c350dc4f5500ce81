"""One line of progress with the time that is left."""

import sys
import time

import pytorch_lightning as pl


def clock(seconds: float) -> str:
    """75 → 1:15, 3700 → 1:01:40."""
    minutes, s = divmod(round(max(seconds, 0)), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class Progress(pl.Callback):
    """Rewrites one line in a terminal; prints a line every ten seconds into a file."""

    def __init__(self, interval: float = 10.0) -> None:
        self.interval = interval
        self._start, self._first, self._printed, self._images = 0.0, 0, 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start, self._first, self._images = time.monotonic(), trainer.current_epoch, 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        self._images += len(batch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = time.monotonic()
        last = trainer.current_epoch + 1 == trainer.max_epochs
        wait = 0.2 if sys.stderr.isatty() else self.interval
        if trainer.is_global_zero and (last or now - self._printed >= wait):
            self._printed = now
            end = "\r" if sys.stderr.isatty() and not last else "\n"
            print(self._line(trainer, now), end=end, file=sys.stderr, flush=True)

    def _line(self, trainer: pl.Trainer, now: float) -> str:
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        seconds = now - self._start
        left = seconds / (done - self._first) * (total - done)
        values = trainer.callback_metrics
        parts = [f"epoch {done}/{total}", f"loss {float(values['train_supervised_loss']):.4g}"]
        if "val_pixel_error" in values:
            parts.append(f"validation {float(values['val_pixel_error']):.2f} px")
        return "  ".join([*parts, f"{self._images / seconds:.1f} images/s", f"{clock(left)} left   "])
