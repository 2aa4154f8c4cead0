"""Records as objects."""

from __future__ import annotations

import pytest

from ledger.records import BURNED_KEY, Account, Pool, PoolStatus, Target, account_key, pool_key, target_key
from light.record_json import record_json
from tests.model.small_chain import ALICE, BOB, RESOURCE

CPTX_HASH = bytes(range(1, 33))


def test_every_kind_of_record_has_its_object() -> None:
    pool = Pool(ALICE, RESOURCE, 1000, 1500, 300, 1, 51, PoolStatus.SLASHED)
    name = "0x" + CPTX_HASH.hex()
    bob = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"
    assert record_json(pool_key(CPTX_HASH), pool.encode()) == {
        "cptxHash": name,
        "creator": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        "resourceId": "0x" + RESOURCE.hex(),
        "deposit": "0x3e8",
        "collateral": "0x5dc",
        "spent": "0x12c",
        "remaining": "0x2bc",
        "createdAt": "0x1",
        "expiresAt": "0x33",
        "status": "slashed",
    }
    target = {"cptxHash": name, "target": bob, "seq": "0x2", "paid": "0x12c"}
    assert record_json(target_key(CPTX_HASH, BOB), Target(2, 300).encode()) == target
    account = Account(5, 0).encode() or b""
    assert record_json(account_key(BOB), account) == {"address": bob, "balance": "0x5", "nonce": "0x0"}
    assert record_json(BURNED_KEY, (7).to_bytes(16, "big")) == {"burned": "0x7"}


@pytest.mark.parametrize("key", [account_key(BOB), pool_key(CPTX_HASH), target_key(CPTX_HASH, BOB), BURNED_KEY])
def test_bytes_of_another_length_are_no_record(key: bytes) -> None:
    for length in (0, 15, 17, 25, 118):
        with pytest.raises(ValueError, match="record"):
            record_json(key, bytes(length))


def test_an_unknown_status_is_no_record() -> None:
    pool = Pool(ALICE, RESOURCE, 1000, 1500, 300, 1, 51, PoolStatus.OPEN).encode()
    with pytest.raises(ValueError, match="PoolStatus"):
        record_json(pool_key(CPTX_HASH), pool[:-1] + b"\x03")
