"""Our training on the project that DeepLabCut trains on, with a clock that leaves evaluations out: python -m … ORDER.json."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lp_train import compose, fit, train


class Record(pl.Callback):
    """Seconds of training from the first batch on, and the errors of all test frames at every validation."""

    def __init__(self) -> None:
        self.wall = self.cpu = self.seen = 0
        self.points: list[dict[str, Any]] = []
        self._errors: list[torch.Tensor] = []

    def on_train_start(self, *_: Any) -> None:
        self._go()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen += len(batch.labeled)

    def on_validation_start(self, *_: Any) -> None:
        self.wall += time.perf_counter() - self._since[0]
        self.cpu += time.process_time() - self._since[1]
        self._errors = []

    def on_validation_batch_end(self, trainer: Any, module: Any, outputs: torch.Tensor, *_: Any) -> None:
        self._errors.append(outputs[outputs.isfinite()].float())

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        errors = torch.cat(self._errors)
        point = {"epoch": trainer.current_epoch + 1, "images": self.seen, "wall_s": self.wall, "cpu_s": self.cpu}
        self.points.append(point | {"errors": errors.tolist()})
        text = f"test error {errors.mean():.1f}, median {errors.median():.1f}"
        print(f"epoch {point['epoch']}: {self.wall:.0f} s, {self.cpu:.0f} s of processor, {text}", flush=True)
        self._go()

    def _go(self) -> None:
        self._since = time.perf_counter(), time.process_time()


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(order["threads"])
    record, callbacks = Record(), fit._callbacks
    fit._callbacks = lambda *a: [*callbacks(*a), record]
    train(compose(order["words"]))
    Path(order["out"]).write_text(json.dumps(record.points))


if __name__ == "__main__":
    main()
