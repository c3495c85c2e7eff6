"""Why a request failed, in one of a few words.

A client that LiteLLM refuses (`auth`, `rate_limit`) is told apart from a backend that refuses
LiteLLM (`backend_auth`, `backend_limit`): the one is the client's own doing, the other is not.
"""

TIMEOUT = "timeout"
RATE_LIMIT = "rate_limit"
BACKEND_LIMIT = "backend_limit"
AUTH = "auth"
BACKEND_AUTH = "backend_auth"
BAD_REQUEST = "bad_request"
NOT_FOUND = "not_found"
SERVER_ERROR = "server_error"
CONNECTION = "connection"
UNAVAILABLE = "unavailable"
CONTEXT_WINDOW = "context_window"
CONTENT_FILTER = "content_filter"
OTHER = "other"

# Those that are no client's own fault.
BREAKDOWNS = (
    TIMEOUT,
    BACKEND_LIMIT,
    BACKEND_AUTH,
    NOT_FOUND,
    SERVER_ERROR,
    CONNECTION,
    UNAVAILABLE,
    OTHER,
)

# LiteLLM's exceptions that say more than the status of the answer, which is 400 for half of them.
_CLASSES = {
    "Timeout": TIMEOUT,
    "APITimeoutError": TIMEOUT,
    # A provider's limit, or one of LiteLLM for a deployment. A client over the limit of its key,
    # user or team gets an HTTPException, one with a wrong key a ProxyException.
    "RateLimitError": BACKEND_LIMIT,
    "BudgetExceededError": RATE_LIMIT,
    "AuthenticationError": BACKEND_AUTH,
    "PermissionDeniedError": BACKEND_AUTH,
    "NotFoundError": NOT_FOUND,
    "APIConnectionError": CONNECTION,
    # No deployment is left: each is out of routing after failures, or at a limit of LiteLLM's. It
    # answers 429.
    "RouterRateLimitError": UNAVAILABLE,
    "RouterRateLimitErrorBasic": UNAVAILABLE,
    "ContextWindowExceededError": CONTEXT_WINDOW,
    "ContentPolicyViolationError": CONTENT_FILTER,
}
_STATUSES = {
    "401": AUTH,
    "403": AUTH,
    "404": NOT_FOUND,
    "408": TIMEOUT,
    "429": RATE_LIMIT,
    "504": TIMEOUT,
}
_FAMILIES = {"4": BAD_REQUEST, "5": SERVER_ERROR}


def reason(exception: str, status: str) -> str:
    """Return why a request failed.

    Args:
        exception: The class of LiteLLM's exception, after the provider's name if there is one:
            `Openai.Timeout`.
        status: The HTTP status, or a word where there was none.
    """
    known = _CLASSES.get(exception.rpartition(".")[2])
    if known is not None:
        return known
    if len(status) != len("400"):
        return OTHER
    return _STATUSES.get(status) or _FAMILIES.get(status[0], OTHER)
