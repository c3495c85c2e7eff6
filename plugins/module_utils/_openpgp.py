# Copyright (c) 2026 the llmops.monitoring authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fingerprints of the public keys in a file, for hosts that have no gpg: Debian's apt checks signatures without it.

Source: RFC 9580, sections 4.2 (packets), 5.5.4.2 (fingerprints of version 4) and 6.2 (ASCII armor).

Note that this is a private module utility: it may change in any release of the collection.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL
)
_ARMOR_HEADER = re.compile(rb"[A-Za-z]+: .*")
_PUBLIC_KEY = 6


class KeyFileError(ValueError):
    """A file is none that holds public keys."""


def fingerprints(content: bytes) -> list[str]:
    """Return the fingerprint of each primary key in a file, armored or not, as 40 capital hexadecimal digits.

    Subkeys are bound to their primary key by its signature and so need no look of their own. KeyFileError when the
    file is damaged, holds no public key, or one of another version than 4.
    """
    found = []
    for tag, body in _packets(_binary(content)):
        if tag == _PUBLIC_KEY:
            if body[:1] != b"\x04":
                raise KeyFileError("it holds a key that is not of version 4")
            # The format says SHA-1.
            digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False)
            found.append(digest.hexdigest().upper())
    if not found:
        raise KeyFileError("it holds no public key")
    return found


def _binary(content: bytes) -> bytes:
    """Return the packets of a file, with the armor taken off if it has one.

    Programs that read keys differ in what they pass over: apt takes the keys from an armor of any name. So nothing is
    passed over.
    """
    blocks = _ARMOR.findall(content)
    if not blocks:
        return content
    if _ARMOR.sub(b"", content).strip():
        raise KeyFileError("it holds something besides armored public keys")
    try:
        return b"".join(base64.b64decode(_without_headers(block), validate=True) for block in blocks)
    except binascii.Error as error:
        raise KeyFileError(f"its armor is damaged ({error})") from error


def _without_headers(block: bytes) -> bytes:
    """Return an armor's lines of data: what comes after the empty line that ends the headers, without the checksum."""
    lines = [line.strip() for line in block.splitlines()]
    start = lines.index(b"") + 1 if b"" in lines else 0
    if not all(map(_ARMOR_HEADER.fullmatch, lines[: max(0, start - 1)])):
        raise KeyFileError("its armor has a header that is none")
    return b"".join(line for line in lines[start:] if not line.startswith(b"="))


def _packets(content: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(content):
        header = content[position]
        if not header & 0x80:
            raise KeyFileError("it is no OpenPGP file")
        tag = header & 0x3F if header & 0x40 else (header & 0x3C) >> 2
        length, start = _length(content, position, is_new=bool(header & 0x40))
        if start + length > len(content):
            raise KeyFileError("it is cut off")
        yield tag, content[start : start + length]
        position = start + length


def _length(content: bytes, position: int, is_new: bool) -> tuple[int, int]:
    """Return how long a packet's body is, and where it starts."""
    first = content[position + 1] if position + 1 < len(content) else 0
    if not is_new:
        size = {0: 1, 1: 2, 2: 4}.get(content[position] & 3)
        start = position + 1
    elif first < 192:
        return first, position + 2
    elif first < 224:
        second = content[position + 2] if position + 2 < len(content) else 0
        return ((first - 192) << 8) + second + 192, position + 3
    else:
        size = 4 if first == 255 else None
        start = position + 2
    if size is None:
        raise KeyFileError("it has a packet of unknown length")
    return int.from_bytes(content[start : start + size], "big"), start + size
