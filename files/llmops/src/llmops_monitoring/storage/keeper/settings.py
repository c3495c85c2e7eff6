"""What the keeper is told, by variables of its environment and files with passwords."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WRITER: Final = "llmops_writer"
READER: Final = "llmops_reader"

_PREFIX: Final = "LLMOPS_KEEPER_"
_MOST_DAYS: Final = 36500


class SettingsError(Exception):
    """What the keeper is told and can't work with: what, where, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the keeper is told.

    Attributes:
        database: Where the event store is, as its owner: a connection string without a password.
        secrets: The folder with the files `owner_password`, `writer_password`, `reader_password`.
        retention_days: For how many days an event is kept at least.
        well: The file that is there while all is well.
    """

    database: str
    secrets: Path
    retention_days: int
    well: Path | None = None

    def password(self, of: str) -> str:
        """Return the password of the `owner`, the `writer` or the `reader`.

        Raises:
            SettingsError: It can't be read, or there is none in its file.
        """
        path = self.secrets / f"{of}_password"
        try:
            text = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{path} can't be read: {error}"
            raise SettingsError(message) from error
        if not text:
            message = f"{path} is empty: it must hold the password of the {of}"
            raise SettingsError(message)
        return text


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return what the environment says.

    Raises:
        SettingsError: A variable is missing or is not what it must be.
    """
    days = _needed(environment, "RETENTION_DAYS")
    if not days.isascii() or not days.isdigit() or not 1 <= int(days) <= _MOST_DAYS:
        allowed = f"a whole number of days from 1 to {_MOST_DAYS}"
        message = f"{_PREFIX}RETENTION_DAYS is {days!r}: must be {allowed}"
        raise SettingsError(message)
    well = environment.get(f"{_PREFIX}WELL")
    return Settings(
        database=_needed(environment, "DATABASE"),
        secrets=Path(_needed(environment, "SECRETS")),
        retention_days=int(days),
        well=Path(well) if well else None,
    )


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(_PREFIX + name, "")
    if not value:
        message = f"{_PREFIX}{name} is not set"
        raise SettingsError(message)
    return value
