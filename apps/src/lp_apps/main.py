"""The command `lpose`: dispatch, help and errors. Imports nothing heavy until a command runs."""

import os
import sys
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper

from lp_core.errors import LpError

COMMANDS = (
    "demo",
    "convert",
    "check",
    "train",
    "predict",
    "evaluate",
    "suggest",
    "ensemble",
    "export",
    "live",
    "render",
    "view",
    "review",
    "track",
    "bench",
    "config",
    "report",
    "plugins",
    "new",
    "doctor",
)
HELP = """lpose: animal pose estimation from video.

  lpose demo out=DIR                            make a small data set, train on it, label a video
  lpose convert source=SOURCE to=LAYOUT out=DIR Lightning Pose, DeepLabCut, COCO and SLEAP into one another
  lpose check data.root=DIR                     mistakes in the labels, before anything is trained on them
  lpose train data.root=DIR out=RUN             train on a Lightning Pose, DeepLabCut or COCO project
  lpose predict run=RUN source=SOURCE out=DIR   keypoints of a video, a folder, a glob or a label CSV
  lpose evaluate run=RUN                        pixel errors per split and keypoint
  lpose suggest run=RUN n=20                    which frames of the videos to label next, and why
  lpose ensemble runs=[A,B] source=VIDEO out=D  several runs combined, and smoothed where they disagree
  lpose export run=RUN out=FILE.onnx            one file that runs without torch, checked on real frames
  lpose live run=RUN source=CAMERA|FILE|URL     poses as frames come, filtered, and handed to your own code
  lpose render run=RUN source=VIDEO out=FILE    a video with the keypoints drawn
  lpose view runs=[A,B]                         runs side by side in TensorBoard or FiftyOne
  lpose review run=RUN [source=VIDEO]           a page to find the worst frames, correct them and add them to the labels
  lpose track predictions=FILE out=FILE         several animals: each in columns of its own throughout
  lpose bench run=RUN source=VIDEO              frames per second of every runtime, stage by stage
  lpose config [key=value …]                    the complete configuration and where each value comes from; a schema
  lpose report run=RUN                          one HTML page: errors, worst frames, videos; runs=[A,B] compares
  lpose plugins                                 every installed part, and whether it is healthy
  lpose new plugin NAME kind=KIND               a package of your own that adds a loss, a backbone, a runtime …
  lpose doctor                                  versions, devices, decoders, runtimes, and what to install for what is missing

Options are key=value. Those of train, with their defaults:

  data.image_size=[H,W] (proposed from the data)   training.max_epochs=300
  data.split.seed=0                                training.batch_size=16
  data.split.train=0.8  data.split.val=0.1         training.learning_rate=1e-3
  data.format=auto|lightning_pose|deeplabcut|coco  training.seed=0
  backbone=resnet18     a preset, or               training.accelerator=auto|cpu|cuda|mps
  backbone=timm backbone.model=NAME                training.precision=auto|float32|bfloat16
  backbone.weights=FILE backbone.pretrained=true   training.schedule=multistep|steps|cosine|plateau
  head=heatmap|heatmap_mhcrnn|simcc|regression     training.ema_decay=0
  head=paf|dekr         several animals, bottom up; with any other head, in crops round each: detector=centers|ssdlite
  model=dekr_w32        a model by DeepLabCut's name: backbone, head and their options at once
  augmentation=dlc|dlc-top-down|dlc-lr|default     training.resume=true   go on after an interruption
  losses=[temporal,pca_multiview]  learn from the videos too: also pca_singleview, unimodal_kl, consistency, …
  clips=video|dali  clips.sequence_length=16       --lp-config FILE       a Lightning Pose configuration

  lpose COMMAND --help      what one command takes
  --debug                   show the traceback of an error
  --version                 print the version
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors that a user can put right are one sentence and exit status 2."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log file shows how far it is
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    if words[:1] == ["--version"]:
        print(version("lp-apps"))
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    try:
        return _run(words[0], words[1:])
    except KeyboardInterrupt:
        print("lpose: interrupted; the same command goes on from what was finished.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # lpose … | head: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be printed at the end
        return 141  # as the shell counts SIGPIPE
    except (LpError, OSError) as e:
        if debug:
            raise
        print(f"lpose: {_sentence(e)}", file=sys.stderr)
        return 2
    except ImportError as e:
        if debug:
            raise
        from lp_apps.absent import sentence

        print(f"lpose: {sentence(e)}", file=sys.stderr)
        return 2


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; make sure the path exists, is yours to use, and the disk has room."
    return str(error)


def _run(command: str, words: list[str]) -> int:
    if command not in COMMANDS:
        from lp_core.registry import nearest

        raise LpError(f"There is no command {command!r}{nearest(command, list(COMMANDS))} See lpose --help.")
    module = import_module(f"lp_apps.{command}")
    if "-h" in words or "--help" in words:
        print(module.__doc__)
        return 0
    module.run(words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
