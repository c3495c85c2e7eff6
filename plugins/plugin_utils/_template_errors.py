# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the line of a template that an error comes from; ansible-core itself tells only the file.

Note that this is a private plugin utility: it may change in any release of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import TemplateSyntaxError

# The two messages by which ansible-core tells of something undefined.
_UNDEFINED = re.compile(r"'(?P<name>[^']+)' is undefined|has no attribute '(?P<attribute>[^']+)'")


def place(error: BaseException, source: str, text: str) -> str:
    """Return `file:line` of an error that rendering a file's text ended with; just the file when no line is known."""
    lines = _lines_of_syntax(error) or _lines_of_execution(error) or _lines_of_undefined(str(error), text)
    return f"{source}:{' or '.join(map(str, lines))}" if lines else source


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _lines_of_syntax(error: BaseException) -> list[int]:
    return [link.lineno for link in _chain(error) if isinstance(link, TemplateSyntaxError)][:1]


def _lines_of_execution(error: BaseException) -> list[int]:
    """Return the line of the template whose compiled code raised."""
    found: list[int] = []
    for link in _chain(error):
        trace = link.__traceback__
        while trace is not None:
            template = trace.tb_frame.f_globals.get("__jinja_template__")
            if template is not None:
                found = [template.get_corresponding_lineno(trace.tb_lineno)]
            trace = trace.tb_next
    return found


def _lines_of_undefined(message: str, text: str) -> list[int]:
    """Return the lines that use an undefined name: it is not evaluated where it stands, so no trace leads there."""
    match = _UNDEFINED.search(message)
    if not match:
        return []
    word = re.compile(rf"\b{re.escape(match['name'] or match['attribute'])}\b")
    return [number for number, line in enumerate(text.splitlines(), 1) if word.search(line)]
