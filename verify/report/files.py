"""Files written whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> Path:
    """The path of a UTF-8 file that holds exactly ``text``; a reader never sees it half written.

    The text goes to a temporary file in the same directory, because ``os.replace`` is atomic only within one file
    system. Line ends are written as they are, so that the bytes do not depend on the platform.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
