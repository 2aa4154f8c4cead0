"""Addresses against the vectors of EIP-55 and against eth-account."""

from __future__ import annotations

import random

import pytest
from coincurve import PrivateKey

from crypto.address import ADDRESS_BYTES, ZERO_ADDRESS, address_of_public_key, checksum_address, parse_address

# The examples in the text of EIP-55.
VECTORS = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
MIXED = VECTORS[4]


@pytest.mark.parametrize("text", VECTORS)
def test_checksum_of_the_vectors(text: str) -> None:
    assert checksum_address(bytes.fromhex(text[2:])) == text


@pytest.mark.parametrize("text", VECTORS)
def test_accepted_in_lower_case_and_with_the_right_checksum(text: str) -> None:
    assert parse_address(text) == bytes.fromhex(text[2:])
    assert parse_address(text.lower()) == bytes.fromhex(text[2:])


def test_every_single_wrong_letter_is_refused() -> None:
    for at in range(2, 42):
        wrong = MIXED[:at] + MIXED[at].swapcase() + MIXED[at + 1 :]
        if wrong != MIXED:
            with pytest.raises(ValueError, match=f"wrong checksum: expected {MIXED}"):
                parse_address(wrong)


def test_upper_case_is_refused_unless_it_is_the_checksum() -> None:
    with pytest.raises(ValueError, match="checksum"):
        parse_address("0x" + MIXED[2:].upper())
    assert parse_address(VECTORS[0]) == bytes.fromhex(VECTORS[0][2:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        MIXED[2:],
        "0X" + MIXED[2:],
        MIXED[:-1],
        MIXED + "0",
        MIXED + "\n",
        " " + MIXED,
        MIXED[:-1] + "g",
        "0x" + "٣" * 40,
        "-0x" + "1" * 40,
        "0x" + "1_" * 20,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 0x and 40 hexadecimal digits"):
        parse_address(text)


def test_zero_address() -> None:
    assert ADDRESS_BYTES == len(ZERO_ADDRESS) == 20
    assert parse_address(checksum_address(ZERO_ADDRESS)) == ZERO_ADDRESS


def test_public_key_one() -> None:
    key = PrivateKey((1).to_bytes(32, "big")).public_key.format(compressed=False)[1:]
    assert checksum_address(address_of_public_key(key)) == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def test_random_keys_against_eth_account() -> None:
    eth_account = pytest.importorskip("eth_account")
    source = random.Random(55)
    for _ in range(20):
        secret = source.randbytes(32)
        key = PrivateKey(secret).public_key.format(compressed=False)[1:]
        assert checksum_address(address_of_public_key(key)) == eth_account.Account.from_key(secret).address
