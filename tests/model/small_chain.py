"""The chain of the scenarios, small enough for numbers that are worked out by hand.

Minimum fee 10, reward 100, durations from 2 to 50 blocks, two expiries in one block. Alice has
1,000,000, Bob 5,000, Dave 100; Carol and the authority have nothing. The usual pool is Alice's, has
deposit 1,000 and collateral 1,500, lives for ten blocks and is created at height 1.
"""

import copy
from typing import Any

import pytest

from . import signing
from .encoding import (
    Receipt,
    keccak,
)
from .reference import Model, ModelRefusal

ALICE_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY = map(signing.key_of, (1, 2, 3, 4))
AUTHORITY_KEY = signing.key_of(6)
ALICE = bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")
BOB = bytes.fromhex("2b5ad5c4795c026514f8317c7a215e218dccd6cf")
CAROL = bytes.fromhex("6813eb9362372eef6200f3b1dbc3f819671cba69")
DAVE = bytes.fromhex("1eff47bc3a10a45d4b230b5d10e37751fe6aa718")
AUTHORITY = bytes.fromhex("e57bfe9f44b819898f47bf37e5af72a0783e1141")
RESOURCE = bytes(range(32))
STATE_ROOT = b"\x11" * 32
ZERO_HASH = bytes(32)


def genesis(**changes: object) -> dict[str, Any]:
    """The small chain's genesis, or one that differs in a few members."""
    members: dict[str, Any] = {
        "chainId": "0x5007",
        "timestamp": "0x6955b900",
        "authority": "0x" + AUTHORITY.hex(),
        "extra": "0x" + "00" * 32,
        "alloc": {
            "0x" + ALICE.hex(): "0xf4240",
            "0x" + BOB.hex(): "0x1388",
            "0x" + DAVE.hex(): "0x64",
        },
        "blockInterval": "0x1",
        "minFee": "0xa",
        "reward": "0x64",
        "minDuration": "0x2",
        "maxDuration": "0x32",
        "maxExpiriesPerBlock": "0x2",
        "maxBlockTransactions": "0x1388",
        "maxBlockBytes": "0x200000",
    }
    return members | changes


class Chain:
    """A model at height 1 and the keys to speak to it."""

    def __init__(self, **changes: object) -> None:
        self.model = Model(genesis(**changes), STATE_ROOT)
        self.domain = signing.Domain(self.model.chain_id, self.model.genesis_hash)
        self.model.begin_block(1)

    def transfer(self, key: bytes, to: bytes, amount: int, fee: int = 10, nonce: int = 0) -> bytes:
        return signing.transfer(key, self.domain, to, amount, fee, nonce)

    def create(
        self,
        deposit: int = 1000,
        collateral: int = 1500,
        duration: int = 10,
        fee: int = 10,
        nonce: int = 0,
        key: bytes = ALICE_KEY,
    ) -> bytes:
        numbers = (deposit, collateral, duration, fee, nonce)
        return signing.create_pool(key, self.domain, RESOURCE, *numbers)

    def pool(self, deposit: int = 1000, collateral: int = 1500, duration: int = 10) -> bytes:
        """Create a pool of Alice's and return its id."""
        nonce = self.model.nonce(ALICE)
        raw = self.create(deposit, collateral, duration, nonce=nonce)
        return self.model.apply(raw)["cptxHash"]

    def payment(self, key: bytes, pool: bytes, amount: int, seq: int = 1, fee: int = 10) -> bytes:
        return signing.service_payment(ALICE_KEY, key, self.domain, amount, pool, seq, fee)

    def check_equations(self) -> None:
        assert self.model.supply_equation_holds()
        assert all(map(self.model.pool_equation_holds, self.model.pools))

    def refuse(self, raw: bytes, reason: str) -> None:
        """The transaction is refused for this reason and changes nothing."""
        before = copy.deepcopy(vars(self.model))
        with pytest.raises(ModelRefusal) as caught:
            self.model.apply(raw)
        assert caught.value.reason == reason
        assert vars(self.model) == before


def receipt_of(
    raw: bytes,
    outcome: int,
    fee: int,
    pool_id: bytes = ZERO_HASH,
    paid: int = 0,
    burned: int = 0,
    reward: int = 0,
) -> Receipt:
    return {
        "transactionHash": keccak(raw),
        "outcome": outcome,
        "fee": fee,
        "cptxHash": pool_id,
        "paid": paid,
        "burned": burned,
        "reward": reward,
    }
