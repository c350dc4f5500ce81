"""Whether a video file is there, and still the one that was opened."""

import stat
from dataclasses import dataclass
from pathlib import Path


def file_problem(path: Path) -> str | None:
    """Why `path` cannot be a video file, as a sentence; None if it can."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"{path} does not exist; give the path of a video file."
    except OSError as e:
        return f"{path} cannot be reached ({e.strerror or e}); check its drive and your right to read it."
    if stat.S_ISDIR(facts.st_mode):
        return f"{path} is a folder; give the path of a video file."
    if not stat.S_ISREG(facts.st_mode):
        return f"{path} is not a file on a disk; record it to a file first."
    return None if facts.st_size else f"{path} is empty; copy or record it again."


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells that a file is the same as before."""

    path: Path
    size: int
    modified: int
    number: int

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """The state now.

        Raises:
            OSError: gone, or its drive does not answer.
        """
        facts = path.stat()
        return cls(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)

    def complaint(self) -> str | None:
        """Why the file is no longer what it was; None if it is."""
        try:
            now = FileState.of(self.path)
            with self.path.open("rb", buffering=0) as file:
                file.read(1)
                file.seek(max(now.size - 1, 0))
                file.read(1)
        except FileNotFoundError:
            return "it is gone"
        except OSError as e:
            return e.strerror or str(e)
        if now.size < self.size:
            return "it has become shorter since it was opened"
        return None if now == self else "it has changed since it was opened"
