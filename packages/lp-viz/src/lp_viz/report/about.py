"""What was trained, on what, where and for how long."""

from datetime import UTC, datetime
from math import exp
from typing import Any

from lp_viz.report.events import training_times
from lp_viz.report.markup import Chapter, chapter, tag
from lp_viz.report.run import Run

VERSIONS = ("lp-train", "torch", "numpy", "python")


def about(run: Run) -> Chapter:
    """A list of facts, those that are known."""
    facts = {key: value for key, value in training_facts(run).items() if value}
    words = [word for key, value in facts.items() for word in (tag("dt", key), tag("dd", value))]
    return chapter("about", "What was trained?", tag("dl", *words))


def training_facts(run: Run) -> dict[str, str]:
    """What to tell a colleague about a training; empty where it is not known."""
    data, machine = run.provenance.get("data") or {}, run.provenance.get("machine") or {}
    versions, task = run.provenance.get("versions") or {}, str(run.provenance.get("task") or "")
    return {
        "labels": str(data.get("labels") or look(run, "data.root") or ""),
        "their SHA-256": str(data.get("sha256", ""))[:16],
        "keypoints": _keypoints(run),
        "frames": _frames(run),
        "picture the network sees": _size(look(run, "data.image_size")),
        "animals are found": task if task != "one animal" else "",
        "detector": _detector(run) if task == "top down" else "",
        "crop round each animal": _size(look(run, "data.crop_size")) if "top down" in task else "",
        "backbone": _joined(look(run, "parts.backbone"), look(run, "backbone.model")),
        "weights before training": str(look(run, "backbone.weights") or _pretrained(run)),
        "head": _joined(look(run, "parts.head"), look(run, "head.loss")),
        "losses on unlabeled video": _losses(run),
        "augmentation": str(look(run, "parts.augmentation") or ""),
        "training": _training(run),
        "duration": _duration(run),
        "machine": " · ".join(str(v) for v in (machine.get("device"), machine.get("system")) if v),
        "versions": ", ".join(f"{name} {versions[name]}" for name in VERSIONS if name in versions),
    }


def look(run: Run, path: str) -> Any:
    """An entry of config.yaml by its dotted name; None if there is none."""
    found: Any = run.config
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _keypoints(run: Run) -> str:
    return f"{len(run.names)}: {', '.join(run.names)}" if run.names else ""


def _frames(run: Run) -> str:
    split = run.provenance.get("split") or {}
    names = {"val": "validation"}
    return ", ".join(f"{len(rows)} {names.get(part, part)}" for part, rows in split.items() if rows)


def _size(size: Any) -> str:
    return f"{size[1]} × {size[0]} pixels" if isinstance(size, list) and len(size) == 2 else ""


def _detector(run: Run) -> str:
    kinds = look(run, "detector.kinds") or []
    return _joined(look(run, "parts.detector"), f"finds {', '.join(map(str, kinds))}" if kinds else "")


def _joined(*words: Any) -> str:
    return " · ".join(str(word) for word in words if word)


def _pretrained(run: Run) -> str:
    return {True: "pretrained on ImageNet", False: "random"}.get(look(run, "backbone.pretrained"), "")


def _losses(run: Run) -> str:
    losses = look(run, "losses") or {}
    words = (
        f"{name} (weight {0.5 * exp(-options['log_weight']):.3g})" if isinstance(options, dict) and "log_weight" in options
        else str(name) for name, options in losses.items()
    )  # fmt: skip
    return ", ".join(words) or "none: trained on labels only"


def _training(run: Run) -> str:
    names = {"max_epochs": "epochs", "batch_size": "frames per batch", "learning_rate": "learning rate", "seed": "seed"}
    found = {text: look(run, f"training.{key}") for key, text in names.items()}
    return ", ".join(f"{text} {value}" for text, value in found.items() if value is not None)


def _duration(run: Run) -> str:
    spans = training_times(run.root / "tb_logs" / "model" / "version_0")
    if not spans:
        return ""
    began = datetime.fromtimestamp(spans[0][0], UTC).strftime("%Y-%m-%d %H:%M UTC")
    times = f", in {len(spans)} pieces" if len(spans) > 1 else ""
    return f"{readable(sum(end - start for start, end in spans))} of training{times}, begun {began}"


def readable(seconds: float) -> str:
    """As 42 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
