"""Every logged value, one row per epoch, in a CSV that a resumed run continues."""

import csv
from pathlib import Path

import pytorch_lightning as pl
from lp_io import atomic_path


class MetricsCSV(pl.Callback):
    """Keeps `metrics.csv` complete after every epoch; values that an epoch did not produce are empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, str]] = []
        self._rates: dict[str, str] = {}  # before the scheduler's step at the end of the epoch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch and self.path.exists():
            with self.path.open(newline="") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._rates = {f"lr_{g['name']}": f"{g['lr']:.6g}" for g in trainer.optimizers[0].param_groups}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        row = {"epoch": str(trainer.current_epoch), "step": str(trainer.global_step)}
        row |= self._rates
        for name, value in sorted(trainer.callback_metrics.items()):
            if validated or not name.startswith("val_"):
                row[name] = f"{float(value):.6g}"
        self._rows.append(row)
        if trainer.is_global_zero:
            self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        with atomic_path(self.path) as temporary, Path(temporary).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self._rows)
