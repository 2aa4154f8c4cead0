"""Decoders against damaged, mixed and edge-biased bytes: the one right error, or an exact round trip.

`POOLCHAIN_FUZZ_CASES` says how many cases each decoder gets.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from crypto.state_proof import StateProof, StateProofError
from ledger.block import Block, MalformedBlock
from ledger.errors import InvalidGenesis, Refusal
from ledger.genesis import parse_genesis
from ledger.header import Header, MalformedHeader
from ledger.receipt import Outcome, Receipt
from ledger.records import Account, Pool, PoolStatus, Target
from tests.model import signing
from tests.model.reference import canonical_genesis
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, CAROL_KEY, RESOURCE, genesis
from tests.workbench import Workbench
from txtypes import wire
from txtypes.table import KINDS, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CASES = int(os.environ.get("POOLCHAIN_FUZZ_CASES", "4000"))
EDGES = sorted(
    {0, 1} | {max((1 << bits) + more, 0) for bits in (8, 32, 63, 64, 127, 128, 160, 255) for more in range(-8, 9)}
)
"""Integers at which a width ends; those of 33 bytes are cut."""
SLOW_S = 0.001

BENCH = Workbench()
RAWS = (
    signing.transfer(ALICE_KEY, BENCH.signing, BOB, 7, 11, 0),
    signing.create_pool(ALICE_KEY, BENCH.signing, RESOURCE, 20, 30, 5, 11, 0),
    signing.service_payment(ALICE_KEY, CAROL_KEY, BENCH.signing, 9, b"\x77" * 32, 1, 11),
)
HEADER = BENCH.genesis.header(b"\x11" * 32)
RECEIPT = Receipt(b"\xaa" * 32, Outcome.SLASHED, 10, b"\xbb" * 32, 1000, 1390, 110)
POOL = Pool(ALICE, RESOURCE, 1000, 1500, 400, 7, 17, PoolStatus.EXPIRED)
PROOFS = (
    StateProof(0, b"", b"", ()),
    StateProof(1, b"", b"", ((200, b"\x01" * 32), (9, b"\x02" * 32), (0, b"\x03" * 32))),
    StateProof(2, b"\x04" * 32, b"\x05" * 32, ((255, b"\x06" * 32),)),
)


def variations(samples: tuple[bytes, ...], unit: int, seed: str) -> Iterator[bytes]:
    """The samples with bits flipped, words set to edges, pieces cut, doubled, swapped and mixed among them."""
    chance = random.Random(seed)
    for _ in range(CASES):
        data = bytearray(chance.choice(samples))
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            at = chance.randrange(len(data) + 1)
            word = 1 + (at // unit) * unit
            match chance.randrange(7):
                case 0:
                    data[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    data[word : word + unit] = chance.choice(EDGES).to_bytes(33, "big")[-unit:]
                case 2:
                    del data[at : at + chance.choice((1, unit, len(data)))]
                case 3:
                    data[at:at] = chance.choice((b"\x00", bytes(unit), bytes(data[:at])))
                case 4:
                    other = chance.choice(samples)
                    data[at:] = other[at:]
                case 5:
                    data[word : word + unit] = bytes(unit)
                case _:
                    data[at : at + unit] = chance.randbytes(unit)
        yield bytes(data)


def swarm(samples: tuple[bytes, ...], unit: int, again: Callable[[bytes], bytes], error: type[Exception]) -> None:
    """Decode and encode every variation: `error`, or the same bytes, and never slowly."""
    accepted, spent = 0, time.process_time()
    for data in variations(samples, unit, again.__name__):
        try:
            found = again(data)
        except error:
            continue
        accepted += 1
        assert found == data, f"0x{data.hex()} comes back as 0x{found.hex()}"
    assert 0 < accepted < CASES
    assert (time.process_time() - spent) / CASES < SLOW_S


def transaction_again(data: bytes) -> bytes:
    found = decode(data, BENCH.domain)
    layout = KINDS[data[0]].layout
    fields = [part.name for part in layout if part.abi != wire.SIGNATURE]
    signed = [part.name for part in layout if part.abi == wire.SIGNATURE]
    values = dict(zip(fields, found.kind.decode(data), strict=True))
    assert found.raw == data
    return wire.encode(found.kind, values, dict(zip(signed, found.kind.signatures(data), strict=True)))


def header_again(data: bytes) -> bytes:
    return Header.decode(data).encode()


def block_again(data: bytes) -> bytes:
    return Block.decode(data).encode()


def receipt_again(data: bytes) -> bytes:
    return Receipt.decode(data).encode()


def pool_again(data: bytes) -> bytes:
    return Pool.decode(data).encode()


def target_again(data: bytes) -> bytes:
    return Target.decode(data).encode()


def account_again(data: bytes) -> bytes:
    found = Account.decode(data)
    if (record := found.encode()) is None:
        assert data == bytes(24)
        return data
    return record


def proof_again(data: bytes) -> bytes:
    return StateProof.decode(data).encode()


@pytest.mark.parametrize(
    ("samples", "unit", "again", "error"),
    [
        (RAWS, 32, transaction_again, Refusal),
        ((HEADER.encode(),), 32, header_again, MalformedHeader),
        ((Block(HEADER, RAWS, bytes(65)).encode(), Block(HEADER, (), None).encode()), 4, block_again, MalformedBlock),
        ((RECEIPT.encode(),), 32, receipt_again, ValueError),
        ((POOL.encode(),), 16, pool_again, ValueError),
        ((Target(3, 5).encode(),), 8, target_again, ValueError),
        ((Account(3, 5).encode() or b"",), 8, account_again, ValueError),
        (tuple(proof.encode() for proof in PROOFS), 32, proof_again, StateProofError),
    ],
    ids=["transaction", "header", "block", "receipt", "pool", "target", "account", "proof"],
)
def test_decoder(
    samples: tuple[bytes, ...], unit: int, again: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    swarm(samples, unit, again, error)


def test_genesis_of_any_json() -> None:
    """A file that is accepted has the canonical form of its own members."""
    accepted = 0
    for data in variations((canonical_genesis(genesis()), json.dumps(genesis(), indent=1).encode()), 8, "genesis"):
        try:
            found = parse_genesis(data)
        except InvalidGenesis:
            continue
        accepted += 1
        assert found.canonical_bytes() == canonical_genesis(json.loads(data))
        assert parse_genesis(found.canonical_bytes()) == found
    assert 0 < accepted < CASES
