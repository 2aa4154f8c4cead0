"""Records of the state as JSON objects (docs/rpc.md): the same in answers and in proof documents."""

from __future__ import annotations

from typing import Any, Final

from crypto.address import checksum_address
from ledger.records import Account, Pool, Target, decode_burned

Json = dict[str, Any]
BURNED_BYTES: Final = 16


def record_json(key: bytes, record: bytes) -> Json:
    """Return the object of an encoded record under a state key; raises ValueError for bytes that are no record."""
    match key[:1]:
        case b"a":
            return account_json(key[1:], Account.decode(record))
        case b"p":
            pool = Pool.decode(record)
            if pool.spent > pool.deposit:
                raise ValueError(f"a pool of {pool.deposit} has spent {pool.spent}")
            return pool_json(key[1:], pool)
        case b"t":
            return target_json(key[1:33], key[33:], Target.decode(record))
        case _:
            if len(record) != BURNED_BYTES:
                raise ValueError(f"expected a record of {BURNED_BYTES} bytes, given {len(record)}")
            return {"burned": hex(decode_burned(record))}


def account_json(address: bytes, account: Account) -> Json:
    """Return an account."""
    return {
        "address": checksum_address(address),
        "balance": hex(account.balance),
        "nonce": hex(account.nonce),
    }


def pool_json(cptx_hash: bytes, pool: Pool) -> Json:
    """Return a pool; `status` is `open`, `expired` or `slashed`."""
    return {
        "cptxHash": f"0x{cptx_hash.hex()}",
        "creator": checksum_address(pool.creator),
        "resourceId": f"0x{pool.resource_id.hex()}",
        "deposit": hex(pool.deposit),
        "collateral": hex(pool.collateral),
        "spent": hex(pool.spent),
        "remaining": hex(pool.remaining),
        "createdAt": hex(pool.created_at),
        "expiresAt": hex(pool.expires_at),
        "status": pool.status.name.lower(),
    }


def target_json(cptx_hash: bytes, target: bytes, record: Target) -> Json:
    """Return what one payee has had from one pool."""
    return {
        "cptxHash": f"0x{cptx_hash.hex()}",
        "target": checksum_address(target),
        "seq": hex(record.seq),
        "paid": hex(record.paid),
    }
