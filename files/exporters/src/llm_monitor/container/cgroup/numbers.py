"""Reading the numbers that stand in control groups' files."""

from llm_monitor.base.errors import SourceMissingError
from llm_monitor.base.files import Garbled, read_text

_LARGEST = 2**64 - 1


def number(text: str) -> int:
    """Return a number as the kernel writes it.

    Raises:
        ValueError: When it is none, or more than 64 bits hold.
    """
    value = int(text)
    if not 0 <= value <= _LARGEST:
        message = f"{value} is not a number of 64 bits"
        raise ValueError(message)
    return value


def table(path: str) -> dict[str, str]:
    """Return a file of lines of a name and a value.

    Raises:
        SourceMissingError: When it does not exist or may not be read.
        SourceError: When reading it fails otherwise.
    """
    words = read_text(path).split()
    return dict(zip(words[::2], words[1::2], strict=False))


def one_number(path: str) -> int:
    """Return the number that a file holds.

    Raises:
        SourceMissingError: When it does not exist or may not be read.
        SourceError: When it is not as expected.
    """
    text = read_text(path)
    with Garbled(path):
        return number(text)


def one_number_if_any(path: str) -> int | None:
    """Return the number that a file holds, None when there is no such file.

    Raises:
        SourceError: When it is not as expected.
    """
    try:
        return one_number(path)
    except SourceMissingError:
        return None
