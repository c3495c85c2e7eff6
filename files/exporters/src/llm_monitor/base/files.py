"""Reading the kernel's files: small, fast, and with errors that say which file it was."""

import errno
import os
from types import TracebackType

from llm_monitor.base.errors import SourceError, SourceMissingError

_CHUNK = 1 << 14
_ABSENT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ENODEV,
        errno.ENXIO,
        errno.ESRCH,
        errno.EOPNOTSUPP,
    }
)


def read_text(path: str) -> str:
    """Return the whole of a file; bytes that are no UTF-8 become lone surrogates.

    Raises:
        SourceMissingError: When it does not exist or may not be read.
        SourceError: When reading it fails otherwise.
    """
    parts = []
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while part := os.read(handle, _CHUNK):
                parts.append(part)
        finally:
            os.close(handle)
    except OSError as error:
        raise source_error(path, error) from error
    return b"".join(parts).decode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """Return `text` with its lone surrogates as backslash escapes, so that it can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode()


def list_folder(path: str) -> list[str]:
    """Return the names in a folder.

    Raises:
        SourceMissingError: When it does not exist or may not be read.
        SourceError: When reading it fails otherwise.
    """
    try:
        return os.listdir(path)
    except OSError as error:
        raise source_error(path, error) from error


def source_error(path: str, error: OSError) -> SourceError:
    """Return what an operating system's error at `path` means for a source."""
    kind = SourceMissingError if error.errno in _ABSENT else SourceError
    return kind(f"{path}: {error.strerror}")


class Garbled:
    """Turns the errors of parsing `path` into a SourceError that names it."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        """Name `path` in the error."""
        self._path = path

    def __enter__(self) -> None:
        """Begin to parse."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise SourceError for what a parser raises on something unexpected."""
        if isinstance(error, ValueError | IndexError | KeyError | TypeError):
            message = f"{self._path}: not as expected: {type(error).__name__}: {error}"
            raise SourceError(message) from error
