"""Why a call failed, in one of a few words, by the name of the exception's class.

Applications use clients of many kinds, each with classes of its own: what they have in common is
what stands in their names.
"""

import re

OTHER = "other"

# The first that is found in the name, without its module, counts.
_REASONS = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"cancel|keyboardinterrupt|generatorexit", "cancelled"),
        (r"time_?out|deadline", "timeout"),
        (r"rate_?limit|too_?many_?requests|throttl|quota|resource_?exhausted", "rate_limit"),
        (r"context_?(window|length)", "context_window"),
        (r"content_?(policy|filter)|safety|moderation", "content_filter"),
        (r"auth|permission_?denied|forbidden|credential", "auth"),
        (r"not_?found", "not_found"),
        (r"connect|connection|broken_?pipe|read_?error|write_?error|protocol_?error", "connection"),
        (r"bad_?request|invalid_?request|unprocessable|invalid_?argument", "bad_request"),
        (r"unavailable|overloaded|bad_?gateway", "unavailable"),
        (r"internal_?server|server_?error|status_?error", "server_error"),
    )
)
ALL = (*(reason for _, reason in _REASONS), OTHER)


def reason(error_type: str) -> str:
    """Return why a call failed, from its event's `error_type`: `openai.APITimeoutError`."""
    name = error_type.rpartition(".")[2]
    return next((word for pattern, word in _REASONS if pattern.search(name)), OTHER)
