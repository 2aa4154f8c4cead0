"""The genesis file: thirteen members in one form each, and what block 0 makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.merkle import EMPTY_ROOT
from ledger.errors import InvalidGenesis
from ledger.genesis import parse_genesis
from ledger.records import Account, account_key
from tests.model.reference import GENESIS_MEMBERS, Model, canonical_genesis
from tests.model.small_chain import ALICE, AUTHORITY, BOB, DAVE, STATE_ROOT, genesis

ROOT = Path(__file__).resolve().parents[3]
SOMEBODY = "0x" + "ab" * 20
UINT64_MAX, AMOUNT_MAX, DURATION_MAX, CHAIN_ID_MAX = 2**64 - 1, 2**128 - 1, 2**63 - 1, 4503599627370476
RANGES = {
    "chainId": (1, CHAIN_ID_MAX),
    "timestamp": (0, UINT64_MAX),
    "blockInterval": (1, UINT64_MAX),
    "minFee": (0, AMOUNT_MAX),
    "reward": (0, AMOUNT_MAX),
    "minDuration": (1, 50),
    "maxDuration": (2, DURATION_MAX),
    "maxExpiriesPerBlock": (1, UINT64_MAX),
    "maxBlockTransactions": (1, UINT64_MAX),
    "maxBlockBytes": (1, UINT64_MAX),
}
"""From where to where a member may go while the others are the small chain's."""
WRONG_QUANTITIES: tuple[object, ...] = (
    1, 1.0, True, None, [], {}, "", "1", "0x", "0x01", "0x00", "0X1", "0xA", "0x1g", " 0x1", "0x1 ", "0x1\n", "-0x1",
    "0x-1", "+0x1", "0x1_0", "0x٣", "1e3",
)  # fmt: skip
ATTRIBUTES = {
    "chainId": "chain_id",
    "timestamp": "timestamp",
    "blockInterval": "block_interval",
    "minFee": "min_fee",
    "reward": "reward",
    "minDuration": "min_duration",
    "maxDuration": "max_duration",
    "maxExpiriesPerBlock": "max_expiries_per_block",
    "maxBlockTransactions": "max_block_transactions",
    "maxBlockBytes": "max_block_bytes",
}


def written(**changes: object) -> bytes:
    return json.dumps(genesis(**changes)).encode()


def refuse(data: bytes, message: str) -> None:
    with pytest.raises(InvalidGenesis, match=message):
        parse_genesis(data)


def test_members_are_read() -> None:
    found = parse_genesis(written())
    assert found.chain_id == 0x5007
    assert found.timestamp == 0x6955B900
    assert found.authority == AUTHORITY
    assert found.extra == bytes(32)
    assert dict(found.alloc) == {ALICE: 1_000_000, BOB: 5000, DAVE: 100}
    assert (found.block_interval, found.min_fee, found.reward) == (1, 10, 100)
    assert (found.min_duration, found.max_duration, found.max_expiries_per_block) == (2, 50, 2)
    assert (found.max_block_transactions, found.max_block_bytes) == (5000, 2 * 1024 * 1024)
    assert found.supply == 1_005_100


def test_canonical_bytes_are_the_models_whatever_the_file_looks_like() -> None:
    members = genesis()
    expected = canonical_genesis(members)
    backwards = dict(reversed(members.items()))
    for data in (written(), expected, json.dumps(backwards, indent=4).encode(), b"\r\n\t " + written() + b"\n"):
        assert parse_genesis(data).canonical_bytes() == expected
    assert parse_genesis(expected).to_json() == members


def test_canonical_bytes_are_sorted_without_white_space() -> None:
    canonical = parse_genesis(written()).canonical_bytes()
    assert canonical.isascii()
    assert b" " not in canonical
    members = list(json.loads(canonical))
    assert members == sorted(GENESIS_MEMBERS)
    assert list(json.loads(canonical)["alloc"]) == sorted(genesis()["alloc"])


def test_block_0_is_the_models() -> None:
    found = parse_genesis(written())
    header = found.header(STATE_ROOT)
    model = Model(genesis(), STATE_ROOT)
    assert header.hash() == model.genesis_hash
    assert header.parent_hash == keccak256(canonical_genesis(genesis()))
    assert (header.height, header.tx_count, header.timestamp) == (0, 0, 0x6955B900)
    assert header.tx_root == header.receipts_root == header.history_root == EMPTY_ROOT
    assert found.domain(header.hash()) == Domain.of(0x5007, model.genesis_hash)
    assert found.domain(header.hash()).prefix[2:] == model.separator


def test_allocations_of_nothing_leave_no_record() -> None:
    alloc = {SOMEBODY: "0x0", "0x" + BOB.hex(): "0x1"}
    found = parse_genesis(written(alloc=alloc))
    assert found.allocations() == {account_key(BOB): Account(1, 0).encode()}
    assert found.supply == 1
    assert SOMEBODY.encode() in found.canonical_bytes()


def test_empty_alloc() -> None:
    found = parse_genesis(written(alloc={}))
    assert (found.supply, found.allocations()) == (0, {})


@pytest.mark.parametrize("member", sorted(GENESIS_MEMBERS))
def test_missing_member(member: str) -> None:
    members = genesis()
    del members[member]
    refuse(json.dumps(members).encode(), f"missing: {member}")


@pytest.mark.parametrize("member", ["colour", "ChainId", "chain_id", "minfee", "", "alloc ", "\ud800"])
def test_unknown_member(member: str) -> None:
    refuse(written(**{member: "0x1"}), "unknown: ")


@pytest.mark.parametrize("member", sorted(RANGES))
def test_quantity_is_in_its_range(member: str) -> None:
    low, high = RANGES[member]
    for value in (low, high):
        found = parse_genesis(written(**{member: hex(value)}))
        assert getattr(found, ATTRIBUTES[member]) == value
        assert found.to_json()[member] == hex(value)
    for value in (low - 1, high + 1):
        if value >= 0:
            refuse(written(**{member: hex(value)}), r"must (be from|not be above)")
    refuse(written(**{member: "0x" + "f" * 5000}), "must be from")


@pytest.mark.parametrize("member", sorted(RANGES))
@pytest.mark.parametrize("value", WRONG_QUANTITIES, ids=repr)
def test_quantity_has_one_form(member: str, value: object) -> None:
    refuse(written(**{member: value}), f"{member} must be a 0x-quantity")


def test_durations_in_order() -> None:
    parse_genesis(written(minDuration="0x32", maxDuration="0x32"))
    refuse(written(minDuration="0x33", maxDuration="0x32"), "minDuration must not be above maxDuration")


@pytest.mark.parametrize(
    "value",
    [
        None, 1, [], "", "0x", SOMEBODY[2:], SOMEBODY[:-1], SOMEBODY + "0", SOMEBODY.upper(), "0x" + "AB" * 20,
        "0x" + "ab" * 32, SOMEBODY + "\n", "0x" + "gg" * 20,
    ],
    ids=repr,
)  # fmt: skip
def test_address_has_one_form(value: object) -> None:
    refuse(written(authority=value), "authority must be 0x and")
    if isinstance(value, str):
        refuse(written(alloc={value: "0x1"}), "an address of alloc must be 0x and")


@pytest.mark.parametrize(
    "value", [None, 0, "", "0x", "0x00", "00" * 32, "0x" + "00" * 31, "0x" + "00" * 33, "0x" + "F" * 64]
)
def test_extra_is_32_bytes(value: object) -> None:
    refuse(written(extra=value), "extra must be 0x and")
    assert parse_genesis(written(extra="0x" + "fe" * 32)).extra == b"\xfe" * 32


@pytest.mark.parametrize("value", [None, 1, "0x1", [], [[SOMEBODY, "0x1"]]])
def test_alloc_is_an_object(value: object) -> None:
    refuse(written(alloc=value), "alloc must be an object")


@pytest.mark.parametrize("value", WRONG_QUANTITIES, ids=repr)
def test_amount_has_one_form(value: object) -> None:
    refuse(written(alloc={SOMEBODY: value}), "alloc must be a 0x-quantity")


def test_sum_of_alloc_is_below_2_to_the_128() -> None:
    assert parse_genesis(written(alloc={SOMEBODY: hex(AMOUNT_MAX)})).supply == AMOUNT_MAX
    refuse(written(alloc={SOMEBODY: hex(AMOUNT_MAX + 1)}), "alloc must be from")
    halves = {SOMEBODY: hex(2**127), "0x" + "cd" * 20: hex(2**127 - 1)}
    assert parse_genesis(written(alloc=halves)).supply == AMOUNT_MAX
    refuse(written(alloc=halves | {"0x" + "ef" * 20: "0x1"}), "sum of alloc must be below")


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"1", b'"genesis"', b"NaN", b"true"])
def test_file_is_a_json_object(data: bytes) -> None:
    refuse(data, "genesis file")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + written(),
        written().decode().encode("utf-16"),
        written() + b"\x00",
        written() + written(),
        b"\xff" + written(),
        b"[" * 100_000,
        b'{"chainId": ' + b"9" * 10_000 + b"}",
    ],
    ids=["mark", "utf-16", "zero", "twice", "not utf-8", "deep", "long"],
)
def test_other_bytes_are_not_json(data: bytes) -> None:
    refuse(data, "not JSON")


def test_deep_nesting_is_survived_where_a_library_raised_the_limit_of_recursion() -> None:
    program = (
        "import sys; from ledger.errors import InvalidGenesis; from ledger.genesis import parse_genesis\n"
        "sys.setrecursionlimit(1_000_000)\n"
        "for deep in (b'[' * 10**6, b'{\"a\":' * 10**6, b'{\"alloc\":' + b'[' * 10**6):\n"
        "    try: parse_genesis(deep)\n"
        "    except InvalidGenesis as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("not JSON of at most 64") == 3


def test_member_given_twice() -> None:
    once = written()
    twice = b'{"chainId": "0x5007", ' + once[1:]
    refuse(twice, "given twice")
    refuse(b'{"\\u0063hainId": "0x5007", ' + once[1:], "given twice")


def test_address_given_twice() -> None:
    alloc: dict[str, Any] = {SOMEBODY: "0x1"}
    once = written(alloc=alloc)
    entry = f'"{SOMEBODY}": "0x1"'.encode()
    assert entry in once
    refuse(once.replace(entry, entry + b", " + entry), "given twice")
