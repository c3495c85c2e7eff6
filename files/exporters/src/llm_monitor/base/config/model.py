"""The shape of the settings, and the types that they are made of."""

import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

_DURATION_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)(ms|[smhdw])")
# urlsplit passes over tabs and ends of lines, which nobody can ask for.
_NOT_IN_ADDRESS = re.compile(r"[?#\s]")


def seconds(text: object) -> float:
    """Return the seconds of a Prometheus duration such as `30s`, `1m30s`, `500ms` or `0`.

    Raises:
        ValueError: When it is none.
    """
    written = str(text).strip()
    if written == "0":
        return 0.0
    if not re.fullmatch(f"({_DURATION.pattern})+", written):
        message = "not a duration"
        raise ValueError(message)
    return sum(int(number) * _DURATION_UNITS[unit] for number, unit in _DURATION.findall(written))


def ip_address(text: object) -> str:
    """Return `text` if it is an IPv4 or IPv6 address.

    Raises:
        ValueError: When it is none.
    """
    return str(ipaddress.ip_address(str(text)))


def pattern(text: object) -> re.Pattern[str]:
    """Return a compiled regular expression.

    Raises:
        ValueError: When it can't be compiled.
    """
    try:
        return re.compile(str(text))
    except re.error as error:
        message = "not a regular expression"
        raise ValueError(message) from error


def web_address(text: object) -> str:
    """Return the URL of a web server, without user, password, query and fragment.

    Raises:
        ValueError: When `text` is none.
    """
    url = str(text)
    parts = urlsplit(url)
    usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    plain = "@" not in parts.netloc and not parts.netloc.endswith(":")
    if not usable or not plain or _NOT_IN_ADDRESS.search(url):
        message = "no URL of a web server"
        raise ValueError(message)
    return url


Duration = Annotated[float, BeforeValidator(seconds)]
IpAddress = Annotated[str, BeforeValidator(ip_address)]
Pattern = Annotated[re.Pattern[str], BeforeValidator(pattern)]
WebAddress = Annotated[str, BeforeValidator(web_address)]
Port = Annotated[int, Field(ge=1, le=65535, description="a TCP port, 1 to 65535")]
Secret = Annotated[SecretStr, Field(min_length=1, description="a secret that is not empty")]


class Section(BaseModel):
    """A group of settings; every field's description says what is expected there."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


_MOST = "a number, 1 to {}"
PerFamily = Annotated[int, Field(ge=1, le=100_000, description=_MOST.format(100_000))]
Total = Annotated[int, Field(ge=1, le=1_000_000, description=_MOST.format(1_000_000))]


class ExporterSettings(Section):
    """What every exporter's own section has.

    Attributes:
        port: Where it listens.
        max_series_per_family: In place of the shared setting of that name.
        max_series: In place of the shared setting of that name.
    """

    port: Port
    max_series_per_family: PerFamily | None = None
    max_series: Total | None = None


class AuthSettings(Section):
    """Who may read anything but the probes."""

    token: Secret | None = None
    username: Annotated[str, Field(min_length=1, description="a user name")] | None = None
    password: Secret | None = None

    @model_validator(mode="after")
    def _username_with_password(self) -> Self:
        if (self.username is None) != (self.password is None):
            message = "username and password go together"
            raise ValueError(message)
        return self


class Settings(Section):
    """What all exporters of a process share."""

    listen_address: IpAddress = Field(description="an IPv4 or IPv6 address such as 127.0.0.1")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        description="one of debug, info, warning, error"
    )
    log_format: Literal["json", "console"] = Field(description="json or console")
    min_interval: Duration = Field(ge=0, le=3600, description="a duration such as 5s, 1h at most")
    max_series_per_family: PerFamily
    max_series: Total
    auth: AuthSettings = Field(description="a group of token, username and password")
