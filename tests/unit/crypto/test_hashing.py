"""The two hash functions against published vectors."""

from __future__ import annotations

import hashlib

import pytest

from crypto.hashing import HASH_BYTES, ZERO_HASH, keccak256, sha256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"hello", "1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8"),
    ],
)
def test_keccak_is_ethereums_and_not_sha3(data: bytes, digest: str) -> None:
    assert keccak256(data).hex() == digest
    assert keccak256(data) != hashlib.sha3_256(data).digest()


def test_sha256() -> None:
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_widths() -> None:
    assert (HASH_BYTES, len(ZERO_HASH), len(keccak256(b"")), len(sha256(b""))) == (32, 32, 32, 32)
