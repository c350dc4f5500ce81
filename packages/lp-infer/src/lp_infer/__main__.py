"""python -m lp_infer MODEL.onnx VIDEO OUT.csv [key=value …]

Keypoints of a video by a file that lpose export wrote; needs ONNX Runtime or OpenVINO, and no torch.

  runtime=auto           the faster of those installed, or onnx or openvino
  batch_size=0           frames per call; 0 chooses
  precision=auto         as exported; openvino also knows bfloat16 and float16
  device=auto            auto, cpu, cuda, cuda:N or mps
  threads=0              of the network on a CPU; 0 chooses
  overwrite=true         false: an error if OUT.csv exists
"""

import sys
from typing import Any

from lp_core import ConfigError, LpError, nearest

from lp_infer.exported import read_exported
from lp_infer.options import PredictOptions
from lp_infer.video import predict_video
from lp_infer.work import said

KINDS = {"runtime": str, "batch_size": int, "precision": str, "device": str, "threads": int, "overwrite": bool}


def main(arguments: list[str] | None = None) -> int:
    """Predict one video; errors that a user can put right are one sentence and exit status 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    try:
        if len(words) < 3:
            raise ConfigError("Three words are needed: python -m lp_infer MODEL.onnx VIDEO OUT.csv.")
        options = PredictOptions(**{"runtime": "auto", **chosen(words[3:])})
        read_exported(words[0])
        report = predict_video(words[0], words[1], words[2], options)
    except KeyboardInterrupt:
        print("lp_infer: interrupted; give the same command again to go on.", file=sys.stderr)
        return 130
    except (LpError, OSError) as e:
        print(f"lp_infer: {said(e) if isinstance(e, OSError) else e}", file=sys.stderr)
        return 2
    for problem in report.problems:
        print(problem)
    how = f"{report.runtime}, {report.device}, {report.precision}, batches of {report.batch_size}"
    print(
        f"{report.frames} frame{'s' * (report.frames != 1)} at {report.frames_per_second:.1f} frames/s ({how}) → {report.out}"
    )
    return 0


def chosen(words: list[str]) -> dict[str, Any]:
    """`key=value` words as options; what is 0 is left to choose.

    Raises:
        ConfigError: not key=value, an unknown key, or a value of the wrong type.
    """
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or key not in KINDS:
            raise ConfigError(
                f"There is no option {word!r}{nearest(key, list(KINDS))} The options are {', '.join(KINDS)}."
            )
        value = _value(key, text)
        if value != 0 or KINDS[key] is bool:
            options[key] = value
    return options


def _value(key: str, text: str) -> Any:
    try:
        return {"true": True, "false": False}[text.lower()] if KINDS[key] is bool else KINDS[key](text)
    except (KeyError, ValueError) as e:
        raise ConfigError(f"{key}={text} must be of type {KINDS[key].__name__}.") from e


if __name__ == "__main__":
    sys.exit(main())
