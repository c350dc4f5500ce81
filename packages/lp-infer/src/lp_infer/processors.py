"""A user's own code in the loop: a trigger, a stimulus, a log. No torch."""

import importlib
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from lp_core import ConfigError, LpError

from lp_infer.live_pose import LivePose


class Processor(Protocol):
    """What happens with each pose as soon as it is there. Whoever subclasses this needs to write `process` only."""

    def process(self, pose: LivePose) -> LivePose | None:
        """Act on `pose`; what is returned goes on in its place, None means the pose as it was."""
        ...

    def save(self, beside: Path) -> None:
        """Write what was gathered, once, at the end; `beside` is the table of the poses."""
        return

    def close(self) -> None:
        """Let go of ports and files, at the very end."""
        return


def load_processor(name: str) -> Any:
    """What `module:Class` makes, or the function that `module:function` is; modules in the current folder count too.

    Raises:
        ConfigError: there is no such thing, or it cannot be made without arguments.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"processor={name} must be MODULE:CLASS, trigger:Shutter for class Shutter in trigger.py.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
        return found() if isinstance(found, type) else found
    except ModuleNotFoundError as e:
        raise ConfigError(f"processor={name}: there is no module {e.name!r} here or among what is installed.") from e
    except AttributeError as e:
        raise ConfigError(f"processor={name} cannot be made ({e}); correct the name or the class.") from e
    except Exception as e:  # anything that the user's module does when it is imported or its class is made
        raise ConfigError(f"processor={name} cannot be made ({_what(e)}); correct it, or take it out.") from e


class Guarded:
    """A processor whose mistakes are told in a sentence and do not end the loop.

    Args:
        processor: has `process`, perhaps `save` and `close`; or is a function that takes a pose.
        strict: its mistakes are errors.
        tell: gets each sentence; stderr if not given. The same mistake is told once.

    Raises:
        ConfigError: it has no `process`, or with `strict`: `LpError`, it failed.
    """

    def __init__(self, processor: Any, strict: bool = False, tell: Callable[[str], None] | None = None) -> None:
        self._process = getattr(processor, "process", processor)
        if not callable(self._process):
            raise ConfigError(f"A processor needs a method process(pose), which {type(processor).__name__} has not.")
        self._processor, self._strict, self._tell = processor, strict, tell or _to_stderr
        self.name = getattr(processor, "__name__", type(processor).__name__)
        self.mistakes: Counter[str] = Counter()

    def process(self, pose: LivePose) -> LivePose:
        """The pose as the processor has it, or as it was if the processor says nothing or fails."""
        result = self._try(lambda: self._process(pose), f"at frame {pose.number}", "the pose goes on as it was")
        if result is None or isinstance(result, LivePose):
            return result or pose
        what = f"returned {type(result).__name__}, neither a LivePose nor None"
        self._mistake(what, f"at frame {pose.number}", "the pose goes on as it was", None)
        return pose

    def save(self, beside: Path) -> None:
        """Have it write, if it can."""
        if method := getattr(self._processor, "save", None):
            self._try(lambda: method(beside), "while saving", "the poses are kept")

    def close(self) -> None:
        """Have it close, if it can."""
        if method := getattr(self._processor, "close", None):
            self._try(method, "while closing", "the poses are kept")

    def _try(self, call: Callable[[], Any], when: str, so: str) -> Any:
        try:
            return call()
        except Exception as e:
            self._mistake(f"failed with {_what(e)}", when, so, e)
            return None

    def _mistake(self, what: str, when: str, so: str, error: Exception | None) -> None:
        if self._strict:
            raise LpError(f"Processor {self.name} {what} {when}; correct it, or leave strict off.") from error
        self.mistakes[what] += 1
        if self.mistakes[what] == 1:
            self._tell(f"Processor {self.name} {what} {when}; {so}.")


def _what(error: Exception) -> str:
    """`ZeroDivisionError: division by zero (trigger.py, line 8)`."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(place[0].filename).name}, line {place[0].lineno})" if place else ""
    return f"{type(error).__name__}: {error}{where}"


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
