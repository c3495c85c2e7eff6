"""Fingerprints of keys that gpg has made, as gpg tells them, and files that are no keys."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from ansible_collections.llmops.monitoring.plugins.module_utils._openpgp import KeyFileError, fingerprints

ONE = "01D95F13A46184A3C30DB92E54601B04BB6FAF83"
TWO = "B2BD5AA1986A711FE3B9EC4493F466DFFF6B9A87"
# gpg --quick-generate-key … ed25519; gpg --export --armor
KEYS = Path(__file__).resolve().parents[1] / "fixtures/keys"
ONE_ARMORED = (KEYS / "one.asc").read_bytes()
BOTH_ARMORED = (KEYS / "both.asc").read_bytes()


def binary(armored: bytes) -> bytes:
    block = re.search(rb"\n\n(.*?)\n=", armored, re.DOTALL)
    assert block
    return base64.b64decode(block[1])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (ONE_ARMORED, [ONE]),
        (ONE_ARMORED.replace(b"\n", b"\r\n"), [ONE]),
        (binary(ONE_ARMORED), [ONE]),
        (BOTH_ARMORED, [ONE, TWO]),
        (binary(BOTH_ARMORED), [ONE, TWO]),
        (ONE_ARMORED + b"\n" + BOTH_ARMORED, [ONE, ONE, TWO]),
        (ONE_ARMORED.replace(b"\n\n", b"\nVersion: GnuPG v2\nComment: our own\n\n", 1), [ONE]),
    ],
    ids=["armored", "armored on windows", "binary", "two armored", "two binary", "two blocks", "armor's headers"],
)
def test_every_key_is_found(content: bytes, found: list[str]) -> None:
    assert fingerprints(content) == found


def test_key_in_a_packet_of_the_newer_form_is_the_same() -> None:
    packet = binary(ONE_ARMORED)[2 : 2 + 0x33]
    assert fingerprints(b"\xc6\x33" + packet) == [ONE]
    assert fingerprints(b"\xc6\xff\x00\x00\x00\x33" + packet) == [ONE]


def test_long_packet_of_the_newer_form_is_passed_over() -> None:
    user_id = b"\xcd\xc0\x08" + b"x" * 200
    assert fingerprints(user_id + binary(ONE_ARMORED)) == [ONE]


@pytest.mark.parametrize(
    "content",
    [
        BOTH_ARMORED.replace(b"PUBLIC KEY BLOCK", b"MESSAGE") + ONE_ARMORED,
        ONE_ARMORED + BOTH_ARMORED.replace(b"PUBLIC KEY BLOCK", b"ARMORED FILE"),
        BOTH_ARMORED.replace(b"BLOCK-----", b"BLOCK-----x") + ONE_ARMORED,
        binary(BOTH_ARMORED) + ONE_ARMORED,
        BOTH_ARMORED.replace(b"\n\n", b"\n").replace(b"-----END PGP PUBLIC KEY BLOCK-----\n", b"") + ONE_ARMORED,
        ONE_ARMORED.replace(b"\n\n", b"\n" + base64.b64encode(binary(BOTH_ARMORED)) + b"\n\n", 1),
    ],
    ids=["before", "behind", "odd line", "binary", "unended", "as a header"],
)
def test_no_other_program_finds_a_key_that_was_passed_over(content: bytes) -> None:
    with pytest.raises(KeyFileError, match=r"something besides|header that is none|armor is damaged"):
        fingerprints(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no public key"),
        (b"<html>moved</html>", "no OpenPGP file"),
        (binary(ONE_ARMORED)[:40], "cut off"),
        (ONE_ARMORED.replace(b"mDME", b"mDM", 1), "armor is damaged"),
        (b"\x98\x02\x06\x00", "not of version 4"),
        (b"\xc6\xe1" + b"x" * 9, "unknown length"),
        (b"\x9b" + b"x" * 9, "unknown length"),
        (b"\xc6", "cut off"),
    ],
    ids=["empty", "page", "cut", "damaged", "newer", "partial", "indeterminate", "header only"],
)
def test_what_is_no_key_is_told(content: bytes, why: str) -> None:
    with pytest.raises(KeyFileError, match=why):
        fingerprints(content)
