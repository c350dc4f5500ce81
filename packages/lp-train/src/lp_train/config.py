"""The configuration of a training run: plain dataclasses, no Hydra in sight."""

from dataclasses import dataclass, field
from typing import Any

from lp_core import (
    AugmentationConfig,
    BackboneConfig,
    ClipSourceConfig,
    ConfigError,
    DetectorConfig,
    HeadConfig,
    LossConfig,
    nearest,
)

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("multistep", "steps", "cosine", "plateau", "constant")
POSITIVE = (
    "max_epochs", "batch_size", "accumulate_batches", "learning_rate", "check_val_every_n_epoch", "patience", "devices",
    "steps_per_epoch", "pictures_every_n_epochs", "checkpoint_every_n_epochs", "keep_last",
)  # fmt: skip
ZERO_OR_MORE = (
    "weight_decay", "gradient_clip", "resume_interval_s", "warmup_epochs", "cosine_from_epoch", "final_rate",
)  # fmt: skip


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless `value` is allowed for the configuration key `key`."""
    if value not in allowed:
        raise ConfigError(
            f"{key}={value} is unknown{nearest(value, list(allowed))} Choose one of {', '.join(allowed)}."
        )


def positive(key: str, value: float, *, zero: bool = False) -> None:
    """Raise `ConfigError` unless `value` is above zero, or zero where that is allowed."""
    if value < 0 or (value == 0 and not zero):
        raise ConfigError(f"{key}={value} must be {'zero or more' if zero else 'above zero'}.")


@dataclass(slots=True, kw_only=True)
class SplitConfig:
    """How labeled frames are divided; the reference's rule, so the same seed gives the same frames.

    Attributes:
        train, val: shares; the rest is the test set.
        train_frames: share (at most 1) or number (above 1) of the training frames that are used.
        shuffle: of a DeepLabCut project, whose training and test frames are then taken: its number, or a
            `Documentation_data-….pickle` in the project. `train` then says nothing, and `val` is a share that is taken from
            the training frames; with val=0 all of them train, and the test frames validate, as in DeepLabCut.
    """

    seed: int = 0
    train: float = 0.8
    val: float = 0.1
    train_frames: float = 1.0
    shuffle: str | None = None


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Where labels and videos are.

    Attributes:
        root: the project directory.
        format: a name in `lp.label_formats`, or auto.
        labels: the label file in `root`, where there are several.
        view_names: cameras that filmed the same moments, each with a label file and videos of its own. The files have the
            same images, by name, in the same order; a video belongs to the camera whose name is in its own.
        view_labels: their label files in `root`; `<camera>.csv` if not given.
        image_size: [height, width] of the network's input in pixels; proposed from the data if not given. Top-down, of the
            frames that the detector sees and crops are taken from.
        crop_size: [height, width] of the crops that a head for one animal sees where labels have several; others ignore it.
        boxes_per_animal: so many boxes of a detector are looked at for each animal that there may be, and the best poses kept;
            1 is the fastest, more miss fewer animals where the detector is unsure.
        crop_context: crops show what lies beside an animal's box where it has another shape than the crop; false: that is black.
        videos: directory of videos; `root/videos` if not given.
        mirrored_column_matches: keypoint numbers of the same body parts in each mirrored view; found in names that end
            in `_top`, `_bot` and so on if not given.
        columns_for_singleview_pca: keypoint numbers whose joint pose is modelled; all of the views', or simply all.
        cache_gb: resized frames beyond this size go to a memory-mapped file instead of memory.
    """

    root: str = "."
    format: str = "auto"
    labels: str | None = None
    view_names: list[str] | None = None
    view_labels: list[str] | None = None
    image_size: list[int] | None = None
    crop_size: list[int] = field(default_factory=lambda: [128, 128])
    boxes_per_animal: float = 2.0
    crop_context: bool = True
    videos: str | None = None
    mirrored_column_matches: list[list[int]] | None = None
    columns_for_singleview_pca: list[int] | None = None
    cache_gb: float = 4.0
    split: SplitConfig = field(default_factory=SplitConfig)

    def __post_init__(self) -> None:
        if self.view_names is not None and (
            len(self.view_names) < 2 or len(set(self.view_names)) < len(self.view_names)
        ):
            raise ConfigError(f"data.view_names={list(self.view_names)} must be two different cameras or more.")
        if self.view_labels is not None and len(self.view_labels) != len(self.view_names or ()):
            raise ConfigError(
                f"data.view_labels={list(self.view_labels)} must be one file per camera in data.view_names."
            )
        if not 1 <= self.boxes_per_animal <= 100:
            raise ConfigError(f"data.boxes_per_animal={self.boxes_per_animal} must be 1 to 100.")
        for key in ("image_size", "crop_size"):
            size = getattr(self, key)
            if size is not None and (len(size) != 2 or min(size) < 32):
                raise ConfigError(f"data.{key}={list(size)} must be [height,width], both at least 32 pixels.")


@dataclass(slots=True, kw_only=True)
class ConditionErrorsConfig:
    """What is wrong with the poses that a conditional backbone is told in training, as shares of their keypoints.

    Attributes:
        jitter, miss, inversion, swap: near the true place, away from it, at the mirror part, at another animal's part.
        sigma: of object keypoint similarity, which says how far off that is.
    """

    jitter: float = 0.16
    miss: float = 0.10
    inversion: float = 0.03
    swap: float = 0.08
    sigma: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.jitter, self.miss, self.inversion, self.swap)
        if min(shares) < 0 or sum(shares) > 1:
            raise ConfigError(
                "condition_errors: jitter, miss, inversion and swap must be 0 or more, and 1 at most in sum."
            )
        positive("condition_errors.sigma", self.sigma)


@dataclass(slots=True, kw_only=True)
class AnnealConfig:
    """The factor of all unsupervised losses, by epoch: 0 until `freeze_until_epoch`, then growing to `final_val`.

    Attributes:
        freeze_until_epoch: a fifth of the epochs if not given (the reference's 60 of 300).
        increase_factor: growth per epoch; 3 / max_epochs if not given (the reference's 0.01 for 300).
    """

    freeze_until_epoch: int | None = None
    increase_factor: float | None = None
    final_val: float = 1.0

    def __post_init__(self) -> None:
        for key in ("freeze_until_epoch", "increase_factor", "final_val"):
            positive(f"training.anneal.{key}", getattr(self, key) or 0, zero=True)


@dataclass(slots=True, kw_only=True)
class TrainingConfig:
    """How the network is fitted.

    Attributes:
        steps_per_epoch: not given: one pass through the labeled frames, or through the videos where a loss learns from
            them and they last longer; the shorter stream then starts again.
        devices: processes that train together, each on a device of its own and on its share of every batch.
        anneal: when losses without labels set in.
        teacher_decay: per step, of the running mean of the weights that losses=[consistency] learns from.
        precision: auto takes bfloat16 where the device computes in it, else float32.
        learning_rate: of the head; the backbone's follows it, see `unfreezing_epoch`.
        milestones: shares of `max_epochs` at which multistep multiplies the rate by `gamma`.
        rates, rate_epochs: of schedule=steps: the rate from each of these epochs on; `learning_rate` before the first.
        cosine_from_epoch, final_rate: of schedule=cosine: where it begins to fall, and to what.
        warmup_epochs: the rate grows in a straight line from a thousandth of its own in so many epochs, in any schedule.
        patience: validations without improvement: of plateau before it multiplies by `gamma`, of early stopping before the end.
        unfreezing_epoch: the backbone is frozen until then; not given: 0 for random weights, a fifteenth of the
            epochs for pretrained ones (20 of 300, as in the reference).
        ema_decay: decay per step of an exponential moving average of the weights, which is then what is evaluated; 0 = off.
        gradient_clip: largest gradient norm; 0 = off.
        checkpoint_every_n_epochs: keep a checkpoint of every n-th epoch, beside the best and the last.
        keep_last: so many of these, the oldest are deleted; not given: all.
        resume: go on with the run in `out` after an interruption.
        resume_interval_s: at most so many seconds of work are lost by a crash.
        example_images: validation frames with predictions, heatmaps and the labels' subspaces in TensorBoard.
        pictures_every_n_epochs: how often; not given: ten times in the whole run.
    """

    max_epochs: int = 300
    batch_size: int = 16
    accumulate_batches: int = 1
    steps_per_epoch: int | None = None
    seed: int = 0
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "auto"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "multistep"
    milestones: list[float] = field(default_factory=lambda: [0.5, 2 / 3, 5 / 6])
    gamma: float = 0.5
    rates: list[float] | None = None
    rate_epochs: list[int] | None = None
    cosine_from_epoch: int = 0
    final_rate: float = 0.0
    warmup_epochs: int = 0
    patience: int = 3
    early_stopping: bool = False
    unfreezing_epoch: int | None = None
    ema_decay: float = 0.0
    gradient_clip: float = 0.0
    anneal: AnnealConfig = field(default_factory=AnnealConfig)
    teacher_decay: float = 0.99
    check_val_every_n_epoch: int = 5
    checkpoint_every_n_epochs: int | None = None
    keep_last: int | None = None
    resume: bool = False
    resume_interval_s: float = 30.0
    example_images: bool = True
    pictures_every_n_epochs: int | None = None
    wandb: bool = False

    def __post_init__(self) -> None:
        one_of("training.accelerator", self.accelerator, ACCELERATORS)
        one_of("training.precision", self.precision, PRECISIONS)
        one_of("training.optimizer", self.optimizer, OPTIMIZERS)
        one_of("training.schedule", self.schedule, SCHEDULES)
        for key in POSITIVE:
            positive(f"training.{key}", 1 if getattr(self, key) is None else getattr(self, key))
        for key in ZERO_OR_MORE:
            positive(f"training.{key}", getattr(self, key), zero=True)
        for key in ("ema_decay", "teacher_decay"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigError(f"training.{key}={getattr(self, key)} must lie in [0, 1).")
        if self.keep_last and not self.checkpoint_every_n_epochs:
            raise ConfigError(
                f"training.keep_last={self.keep_last} needs training.checkpoint_every_n_epochs=N, of which it keeps the newest."
            )
        self._check_schedule()

    def _check_schedule(self) -> None:
        """Raise `ConfigError` if rates do not fit epochs, or options of one schedule are given for another."""
        rates, epochs = list(self.rates or []), list(self.rate_epochs or [])
        if (self.schedule == "steps") != bool(rates or epochs):
            raise ConfigError(
                "training.schedule=steps and training.rates=[1e-4,1e-5] training.rate_epochs=[90,120] need each other."
            )
        if len(rates) != len(epochs) or epochs != sorted(set(epochs)) or min([*rates, *epochs], default=1) <= 0:
            raise ConfigError(
                f"training.rates={rates} and training.rate_epochs={epochs} must be as many rates as epochs, above zero, and "
                "the epochs must grow."
            )
        if self.schedule != "cosine" and (self.cosine_from_epoch or self.final_rate):
            raise ConfigError("training.cosine_from_epoch and training.final_rate are for training.schedule=cosine.")


@dataclass(slots=True, kw_only=True)
class EvaluationConfig:
    """What is measured and predicted after training.

    Attributes:
        pck_thresholds: shares of the labeled animal's box diagonal within which a keypoint counts as correct.
        confidence_thresholds: errors are also reported for keypoints above each of these.
        predict_videos: predict every video of the project after training.
        dlc_compat: also what DeepLabCut reports as RMSE, with its pairs of animals, and with its `pcutoff` as `dlc_pcutoff`.
    """

    pck_thresholds: list[float] = field(default_factory=lambda: [0.05, 0.1])
    confidence_thresholds: list[float] = field(default_factory=lambda: [0.5, 0.9])
    predict_videos: bool = True
    dlc_compat: bool = False
    dlc_pcutoff: float = 0.6


@dataclass(kw_only=True)
class TrainConfig:
    """Everything a run depends on; saved as `config.yaml` in its directory.

    Attributes:
        conditions: a run that finds all animals by itself, whose poses a conditional backbone is told when it evaluates
            and predicts; a copy is kept. Training needs none.
        condition_errors: of the poses it is told in training, which are made from the labels.
    """

    defaults: list[Any] = field(
        default_factory=lambda: [
            "_self_",
            {"backbone": "resnet18"},
            {"head": "heatmap"},
            {"augmentation": "dlc"},
            {"clips": "video"},
            {"detector": "centers"},
            {"losses": []},
        ]
    )
    data: DataConfig = field(default_factory=DataConfig)
    backbone: BackboneConfig = "???"  # pyright: ignore[reportAssignmentType]  # OmegaConf's MISSING, filled by the defaults
    head: HeadConfig = "???"  # pyright: ignore[reportAssignmentType]
    augmentation: AugmentationConfig = "???"  # pyright: ignore[reportAssignmentType]
    clips: ClipSourceConfig = "???"  # pyright: ignore[reportAssignmentType]
    detector: DetectorConfig = "???"  # pyright: ignore[reportAssignmentType]  # used where crops are
    losses: dict[str, LossConfig] = field(default_factory=dict)
    conditions: str | None = None
    condition_errors: ConditionErrorsConfig = field(default_factory=ConditionErrorsConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    out: str | None = None
