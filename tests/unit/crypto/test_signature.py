"""Recoverable signatures in exactly one form."""

from __future__ import annotations

import hashlib
import random

import pytest
from coincurve import PrivateKey

from crypto.signature import CURVE_ORDER, InvalidSignature, SigningKey, check_canonical, recover
from tests.model.signing import key_of, sign_with_nonce, with_high_s

HALF = (CURVE_ORDER - 1) // 2
DIGEST = hashlib.sha256(b"a digest").digest()
ONE = SigningKey(key_of(1))


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def test_signs_as_rfc_6979_says() -> None:
    digest = hashlib.sha256(b"Satoshi Nakamoto").digest()
    r = "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
    s = "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    assert ONE.sign(digest)[:64].hex() == r + s
    assert ONE.sign(digest) == ONE.sign(digest)


def test_recovers_what_it_signed_and_is_always_low() -> None:
    source = random.Random(1)
    for _ in range(200):
        key, digest = SigningKey(source.randbytes(32)), source.randbytes(32)
        signature = key.sign(digest)
        check_canonical(signature)
        assert int.from_bytes(signature[32:64], "big") <= HALF
        assert recover(digest, signature) == key.address


def test_agrees_with_eth_account() -> None:
    eth_account = pytest.importorskip("eth_account")
    source = random.Random(2)
    for _ in range(10):
        secret, digest = source.randbytes(32), source.randbytes(32)
        signed = eth_account.Account.unsafe_sign_hash(digest, secret)
        assert SigningKey(secret).sign(digest) == bytes(signed.signature)
        address = eth_account.Account.from_key(secret).address
        assert recover(digest, bytes(signed.signature)).hex() == address[2:].lower()


def test_other_signatures_of_one_content_recover_the_same_key() -> None:
    for nonce in (1, 2, 3, 12345):
        assert recover(DIGEST, sign_with_nonce(key_of(1), DIGEST, nonce)) == ONE.address


@pytest.mark.parametrize("length", [0, 1, 63, 64, 66, 130])
def test_length_is_65(length: int) -> None:
    with pytest.raises(InvalidSignature, match=f"expected 65 bytes, given {length}"):
        check_canonical((ONE.sign(DIGEST) * 2)[:length])


@pytest.mark.parametrize("r", [1, 2, CURVE_ORDER - 1])
def test_r_from_1_to_n_minus_1_is_canonical(r: int) -> None:
    check_canonical(word(r) + ONE.sign(DIGEST)[32:])


@pytest.mark.parametrize("r", [0, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1])
def test_other_r_is_not(r: int) -> None:
    with pytest.raises(InvalidSignature, match="1 <= r < n"):
        recover(DIGEST, word(r) + ONE.sign(DIGEST)[32:])


@pytest.mark.parametrize("s", [1, 2, HALF])
def test_s_from_1_to_half_is_canonical(s: int) -> None:
    check_canonical(ONE.sign(DIGEST)[:32] + word(s) + b"\x1b")


@pytest.mark.parametrize("s", [0, HALF + 1, CURVE_ORDER - 1, CURVE_ORDER, 2**256 - 1])
def test_other_s_is_not(s: int) -> None:
    with pytest.raises(InvalidSignature, match="1 <= s <= "):
        recover(DIGEST, ONE.sign(DIGEST)[:32] + word(s) + b"\x1b")


def test_mirrored_signature_is_not() -> None:
    with pytest.raises(InvalidSignature, match="1 <= s <= "):
        recover(DIGEST, with_high_s(ONE.sign(DIGEST)))


@pytest.mark.parametrize("v", sorted(set(range(256)) - {27, 28}))
def test_v_is_27_or_28(v: int) -> None:
    with pytest.raises(InvalidSignature, match=f"expected v 27 or 28, given {v}"):
        recover(DIGEST, ONE.sign(DIGEST)[:64] + bytes([v]))


@pytest.mark.parametrize("v", [27, 28])
def test_r_that_is_on_no_point(v: int) -> None:
    with pytest.raises(InvalidSignature, match="no public key"):
        recover(DIGEST, word(5) + word(1) + bytes([v]))


def test_key_at_infinity_is_no_key() -> None:
    # s * R = digest * G, so that the recovered key would be the point at infinity.
    nonce, s = 7, 5
    digest = word(s * nonce % CURVE_ORDER)
    signature = sign_with_nonce(key_of(1), DIGEST, nonce)
    infinite = 27 + PrivateKey(word(nonce)).public_key.format()[0] % 2
    with pytest.raises(InvalidSignature, match="no public key"):
        recover(digest, signature[:32] + word(s) + bytes([infinite]))
    recover(digest, signature[:32] + word(s) + bytes([55 - infinite]))


@pytest.mark.parametrize(
    "secret", [b"", bytes(32), bytes(31), b"\x01" * 33, word(CURVE_ORDER), word(CURVE_ORDER + 1), b"\xff" * 32]
)
def test_secret_is_from_1_to_n_minus_1(secret: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes between 1 and n - 1"):
        SigningKey(secret)


@pytest.mark.parametrize("number", [1, 2, CURVE_ORDER - 1])
def test_first_and_last_secret(number: int) -> None:
    key = SigningKey(word(number))
    assert key.secret == word(number)
    assert recover(DIGEST, key.sign(DIGEST)) == key.address


def test_compressed_public_key_of_the_secret_one() -> None:
    assert ONE.compressed_public_key.hex() == "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


def test_key_shows_its_address_only() -> None:
    key = SigningKey(b"\xab" * 32)
    assert repr(key) == f"SigningKey(address=0x{key.address.hex()})"
    assert "abab" not in repr(key)
