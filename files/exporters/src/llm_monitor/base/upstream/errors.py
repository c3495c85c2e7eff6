"""What went wrong with an upstream, in a word for a label and a sentence for a log line."""

import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum

from llm_monitor.base.errors import SourceError


class Reason(StrEnum):
    """What went wrong, in a word."""

    DNS = "dns"
    REFUSED = "refused"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    STATUS = "status"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    UNPARSABLE = "unparsable"
    NOT_FINITE = "not_finite"


_CAUSES: tuple[tuple[type[BaseException], Reason, str], ...] = (
    (socket.gaierror, Reason.DNS, "the name can't be resolved"),
    (ssl.SSLCertVerificationError, Reason.TLS, "its certificate is not trusted"),
    (ssl.SSLError, Reason.TLS, "it does not speak TLS as expected"),
    (ConnectionRefusedError, Reason.REFUSED, "connection refused"),
    (TimeoutError, Reason.TIMEOUT, "no connection in time"),
)


class UpstreamError(SourceError):
    """An upstream did not answer, or not with what can be used.

    Its message names the upstream's address without user, password and query, and no secret.

    Attributes:
        reason: What went wrong, in one of a few words: the value of a label.
        status: The HTTP status of the answer; None when there was none.
        retry_after: Seconds after which a rate limited upstream wants to be asked again, if known.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Say `message`, for `reason`."""
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


def failure(where: str, error: BaseException) -> UpstreamError:
    """Return what an error of the HTTP client means, without its text: that may hold a secret."""
    causes = list(_causes(error))
    for kind, reason, sentence in _CAUSES:
        if any(isinstance(cause, kind) for cause in causes):
            return UpstreamError(reason, f"{where}: {sentence}")
    return UpstreamError(
        Reason.CONNECTION, f"{where}: the connection failed ({type(error).__name__})"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error, what it came from, and what those came from that it holds together."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
