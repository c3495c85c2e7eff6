# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a server can't be reached over HTTP, in words for an operator.

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error


def unreachable(server: str, url: str, error: Exception) -> tuple[str, bool]:
    """Return what to tell of an error of `open_url`, and whether waiting can't mend it."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {url} is not trusted: {cause.verify_message}. Name the authority that signed it in "
            "ca_path, use the name that the certificate is for, or set validate_certs to false."
        ), True
    if isinstance(cause, ssl.SSLError):
        return f"{url} does not speak TLS: {cause.reason}. Is it http instead of https?", True
    if isinstance(cause, TimeoutError) or "timed out" in str(cause):
        words = "no answer in time"
    elif isinstance(cause, http.client.IncompleteRead):
        words = "its answer ends in the middle"
    else:
        words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return (
        f"{server} at {url} does not answer: {words}. See whether it runs, whether it listens at this address and "
        "port, and whether a firewall stands between."
    ), False
