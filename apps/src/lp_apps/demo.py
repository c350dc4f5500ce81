"""lpose demo out=DIR [animals=1] [epochs=N] [seed=0] [key=value …]

Makes a small data set (an animal seen directly and in a mirror, or with animals=2 to 5 so many in an arena, which cross and
hide each other), trains a tracker on it, measures it against the ground truth and draws it on a video. Nothing is
downloaded. Started again, it goes on where it stopped.

Further words are options of lpose train.
"""

from pathlib import Path

from lp_core import ConfigError

EPOCHS, EPOCHS_OF_SEVERAL = 40, 100  # the detector of several animals starts from nothing


def run(words: list[str]) -> None:
    """Data, training, evaluation, video."""
    from lp_apps import render, train

    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    if not given.get("out"):
        raise ConfigError("out=DIR must be given: where the demo puts its data and its run.")
    out, animals, seed = Path(given.pop("out")), _whole(given, "animals", 1), _whole(given, "seed", 0)
    data, root = out / "data", out / "run"
    if not (data / ("config.yaml" if animals > 1 else "CollectedData.csv")).exists():
        from lp_data.scene import SceneOptions, make_demo

        print(f"making the demo data in {data}")
        make_demo(data, SceneOptions(seed=seed, animals=animals))
    epochs = given.pop("epochs", str(EPOCHS_OF_SEVERAL if animals > 1 else EPOCHS))
    if animals == 1:
        given.setdefault("data.image_size", "[256,256]")
    settings = {
        "data.root": str(data), "out": str(root), "training.max_epochs": epochs, "training.resume": "true",
        "backbone.pretrained": "false", "training.resume_interval_s": "10",
        **given,
    }  # fmt: skip
    train.run([f"{key}={value}" for key, value in settings.items()])
    render.run([f"run={root}", f"source={data / 'videos' / 'session0.mp4'}", "trail=8"])


def _whole(given: dict[str, str], key: str, default: int) -> int:
    value = given.pop(key, str(default))
    if not value.isdigit():
        raise ConfigError(f"{key}={value} must be a whole number.")
    return int(value)
