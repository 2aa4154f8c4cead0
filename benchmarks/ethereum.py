"""Raw Ethereum transactions (EIP-1559), signed with libsecp256k1: as much of Ethereum as the comparison needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from crypto.hashing import keccak256
from crypto.signature import SigningKey
from crypto.words import encode_uint

Item = bytes | int | Sequence["Item"]
Plan = TypeVar("Plan")
_TYPE: Final = b"\x02"
_GROUP: Final = 500


class Fees(NamedTuple):
    """What a sender offers for each unit of gas, in wei."""

    most: int
    priority: int


class Transaction(NamedTuple):
    """An EIP-1559 transaction without access list."""

    nonce: int
    gas: int
    """The most it may use."""
    to: bytes
    """Empty to make a contract."""
    value: int
    data: bytes = b""

    def sign(self, key: SigningKey, chain_id: int, fees: Fees) -> bytes:
        """Return the bytes to send."""
        fields: list[Item] = [chain_id, self.nonce, fees.priority, fees.most, self.gas, self.to]
        fields += [self.value, self.data, []]
        signature = key.sign(keccak256(_TYPE + rlp(fields)))
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return _TYPE + rlp([*fields, signature[64] - 27, r, s])


def rlp(item: Item) -> bytes:
    """Return an item in Ethereum's recursive length prefix; integers without leading zeros."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefix(0x80, len(item)) + item
    content = b"".join(map(rlp, item))
    return _prefix(0xC0, len(content)) + content


def _prefix(first: int, length: int) -> bytes:
    if length < 56:
        return bytes([first + length])
    size = (length.bit_length() + 7) // 8
    return bytes([first + 55 + size]) + length.to_bytes(size, "big")


def contract_address(creator: bytes, nonce: int) -> bytes:
    """Return where the contract of a transaction is made."""
    return keccak256(rlp([creator, nonce]))[-20:]


def call_data(signature: str, *values: int | bytes) -> bytes:
    """Return the data of a call, as of "refund(bytes32)"; bytes are one word or an address."""
    words = (encode_uint(value) if isinstance(value, int) else value.rjust(32, b"\0") for value in values)
    return keccak256(signature.encode())[:4] + b"".join(words)


def sign_all(sign: Callable[[Plan], bytes], plans: Sequence[Plan]) -> list[bytes]:
    """Return what `sign` makes of each plan, in their order, from one process for every core."""
    groups = [plans[at : at + _GROUP] for at in range(0, len(plans), _GROUP)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(chain.from_iterable(pool.map(_sign_group, [sign] * len(groups), groups)))


def _sign_group(sign: Callable[[Plan], bytes], plans: Iterable[Plan]) -> list[bytes]:
    return [sign(plan) for plan in plans]
