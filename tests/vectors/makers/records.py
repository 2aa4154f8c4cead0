"""Records and the tree keys under which the state commits to them."""

from __future__ import annotations

from tests.model.small_chain import ALICE, BOB, RESOURCE

from . import state_tree
from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid
from .state_tree import LENGTH, UNKNOWN

LARGEST, LAST = 2**128 - 1, 2**64 - 1


def record_files() -> list[VectorFile]:
    return [
        VectorFile(
            "records",
            "Records of the state, their bytes, and the tree keys under which the stateRoot commits to them.",
            paragraphs(
                """
                kind treeKey: input.key is {account}, {cptxHash}, {cptxHash, target} or {burned: true}; addresses
                are 20 bytes. account: SHA-256(0x61 || address); burned: SHA-256(0x62); pool: the first 2 bytes of
                cptxHash || the first 30 of SHA-256(0x70 || cptxHash); target: the first 2 bytes of cptxHash || the
                first 30 of SHA-256(0x74 || cptxHash || address).

                kind account, pool, target, burned: expected.fields of input.recordBytes. Big-endian: account
                balance (16) || nonce (8); pool creator (20) || resourceId (32) || deposit, collateral, spent (16
                each) || createdAt, expiresAt (8 each) || status (1: 0 open, 1 expired, 2 slashed); target seq (8)
                || paid (16); burned (16).

                Absent from the state are the account with balance 0 and nonce 0, the target without a settlement,
                and burned 0.

                MALFORMED: not a record of this kind.
                """
            ),
            [*keys(), *accounts(), *pools(), *targets(), *burned(), *lengths()],
        )
    ]


def keys() -> list[Case]:
    chance = dice("tree keys")
    found = [valid("treeKey", "burned", {"key": {"burned": True}}, {"treeKey": text(state_tree.burned_key())})]
    for address in (bytes(20), ALICE, b"\xff" * 20):
        given = {"key": {"account": text(address)}}
        expected = {"treeKey": text(state_tree.account_key(address))}
        found.append(valid("treeKey", f"account {text(address)}", given, expected))
    for pool in (bytes(32), chance.randbytes(32)):
        name = f"pool 0x{pool.hex()[:8]}.."
        expected = {"treeKey": text(state_tree.pool_key(pool))}
        found.append(valid("treeKey", name, {"key": {"cptxHash": text(pool)}}, expected))
        for address in (BOB, chance.randbytes(20)):
            given = {"key": {"cptxHash": text(pool), "target": text(address)}}
            expected = {"treeKey": text(state_tree.target_key(pool, address))}
            found.append(valid("treeKey", f"target {text(address)} of {name}", given, expected))
    return found


def accounts() -> list[Case]:
    values = [(1, 0), (0, 1), (10**22, 7), (LARGEST, LAST)]
    return [
        valid(
            "account",
            f"account with {balance} and nonce {nonce}",
            {"recordBytes": text(state_tree.account_record(balance, nonce))},
            {"fields": {"balance": hex(balance), "nonce": hex(nonce)}},
        )
        for balance, nonce in values
    ]


def pools() -> list[Case]:
    found = []
    for name, amounts, heights, status in (
        ("open pool", (1000, 1500, 0), (1, 11), "open"),
        ("expired pool", (1000, 1001, 999), (2**32, 2**33), "expired"),
        ("slashed pool", (LARGEST - 1, LARGEST, LARGEST - 1), (LAST - 1, LAST), "slashed"),
    ):
        record = state_tree.pool_record(ALICE, RESOURCE, amounts, heights, status)
        names = ("deposit", "collateral", "spent", "createdAt", "expiresAt")
        numbers = dict(zip(names, map(hex, amounts + heights), strict=True))
        fields = {"creator": text(ALICE), "resourceId": text(RESOURCE), **numbers, "status": status}
        found.append(valid("pool", name, {"recordBytes": text(record)}, {"fields": fields}))
        for code in (3, 4, 128, 255):
            given = {"recordBytes": text(record[:-1] + bytes([code]))}
            found.append(invalid("pool", f"{name} with status {code}", given, "MALFORMED", UNKNOWN))
    return found


def targets() -> list[Case]:
    return [
        valid(
            "target",
            f"target after {seq} settlements",
            {"recordBytes": text(state_tree.target_record(seq, paid))},
            {"fields": {"seq": hex(seq), "paid": hex(paid)}},
        )
        for seq, paid in ((1, 0), (2, 10**18), (LAST, LARGEST))
    ]


def burned() -> list[Case]:
    return [
        valid("burned", f"{value} burned", {"recordBytes": text(value.to_bytes(16, "big"))}, {"fields": hex(value)})
        for value in (1, 1401, LARGEST)
    ]


def lengths() -> list[Case]:
    found = []
    for kind, right in (("account", 24), ("pool", 117), ("target", 24)):
        for length in (0, 1, right - 1, right + 1, 32, 224):
            given = {"recordBytes": text(bytes(length))}
            found.append(invalid(kind, f"{kind} of {length} bytes", given, "MALFORMED", LENGTH))
    return found
