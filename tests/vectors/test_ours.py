"""The node against the committed vector files; the generator has no part in it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from . import ours
from .ours_chain import OurChain
from .reading import Case, cases, check, check_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .reading import Answer

ANSWERS: Mapping[str, Mapping[str, Answer]] = {
    "hashes": {"digest": ours.digest},
    "keys": {"key": ours.key, "mnemonic": ours.mnemonic},
    "addresses": {"show": ours.show, "parse": ours.parse},
    "words": {"word": ours.word},
    "eip712": {"type": ours.struct_type, "domain": ours.domain, "digest": ours.typed},
    "signatures": {"recover": ours.recovered, "sign": ours.signed},
    "genesis": {"genesis": ours.genesis},
    "headers": {"header": ours.header},
    "receipts": {"receipt": ours.receipt},
    "blocks": {"block": ours.block},
    "seals": {"seal": ours.seal},
    "records": {
        "treeKey": ours.tree_key_of,
        "account": ours.account,
        "pool": ours.pool,
        "target": ours.target,
        "burned": ours.burned,
    },
    "state_tree": {"root": ours.state_root, "proof": ours.state_proven},
    "merkle": {"root": ours.tree_root, "inclusion": ours.inclusion, "consistency": ours.consistency},
}
# A `why` of the files -> the words in which this node refuses.
SIGNATURE_WORDS = {
    "1 <= r < n": "1 <= r < n",
    "1 <= s <= (n - 1) / 2": r"1 <= s <= \(n - 1\) / 2",
    "v is 27 or 28": "v 27 or 28",
    "a signature has 65 bytes": "expected 65 bytes",
    "no key can be recovered": "no public key can be recovered",
}
WORDS = {
    **SIGNATURE_WORDS,
    "not the authority's": "expected the seal of|no public key",
    "the block has no seal": "has no seal",
    "an address is 0x and 40 hexadecimal digits": "40 hexadecimal digits",
    "the checksum is wrong": "wrong checksum",
    "a quantity is 0x and hexadecimal digits in lower case without leading zeros": "0x-quantity",
    "hexadecimal in lower case": "hexadecimal digits, lower-case",
    "the number is out of its range": "must be from",
    "exactly thirteen members": "missing: |unknown: ",
    "one JSON object in UTF-8": "not JSON|JSON object",
    "a member is given twice": "given twice",
    "the sum of alloc is below 2^128": "sum of alloc",
    "minDuration is not above maxDuration": "minDuration must not be above",
    "alloc is an object of address to amount": "alloc must be an object",
    "a word is out of the range of its type": "out of range|^'?0x|given 0x|OutOfRange|within the range",
    "the length is another": "expected [0-9]+ bytes",
    "the outcome is 0 to 3": "Outcome|^0x",
    "bytes are missing": "more bytes|expected 320 bytes",
    "there are bytes too many": "bytes too many",
    "the record has another length": "expected a record of",
    "the status is 0, 1 or 2": "PoolStatus",
    "the bytes are not a proof": "unknown kind|cut short",
    "the bitmap is not canonical": "bitmap .* not canonical",
    "as many siblings as bits in the bitmap": "number of siblings",
    "presence is proved for a record, absence for null": "presence given for absence|given for a record",
    "the path does not lead to the root": "does not lead to",
    "the other leaf is the key's own": "leaf of the absent key",
    "the other leaf is not where the key's bits lead": "not on the way",
    "the root is not that of the empty tree": "not that of the empty tree",
    "the path is too long": "too long",
    "the path is too short": "too short",
    "the index is not below the size": "is not in a tree",
    "the first size is above the second": "not the beginning",
    "the path of equal or empty trees is empty": "path of equal or empty trees is empty",
    "the roots of equal sizes differ": "roots differ",
    "the smaller root is not the empty tree's": "not the empty tree's",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_file(name: str) -> None:
    kinds = ANSWERS[name]
    assert {case["kind"] for case in cases(name)} == set(kinds)
    for kind, answer in kinds.items():
        check_all(cases(name, kind), answer, WORDS)


def test_transactions() -> None:
    words = {
        **SIGNATURE_WORDS,
        "the type byte is 1, 2 or 3": "a type byte of 0x01, 0x02, 0x03",
        "a transaction of this type has another length": "expected [0-9]+ bytes, given",
        "a word is out of the range of its type": "within the range of its type",
    }

    def problem(case: Case) -> str | None:
        secrets = case.get("expected", {}).get("secrets", [])
        return check(case, partial(ours.transaction, secrets=secrets), words)

    found = {case["name"]: problem(case) for case in cases("transactions")}
    assert {name: what for name, what in found.items() if what} == {}


def test_chain() -> None:
    chosen = cases("chain")
    chain = OurChain(chosen)
    answers: Mapping[str, Answer] = {
        "genesis": chain.genesis_case,
        "block": chain.block,
        "refusedTransaction": chain.refused_transaction,
        "refusedBlock": chain.refused_block,
    }
    assert {case["kind"] for case in chosen} == set(answers)
    found = {case["name"]: check(case, answers[case["kind"]], {}) for case in chosen}
    assert {name: what for name, what in found.items() if what} == {}
    outcomes = {receipt["outcome"] for case in chosen for receipt in case.get("expected", {}).get("receipts", [])}
    assert outcomes == {"transferred", "created", "settled", "slashed"}
    assert [len(case["expected"]["expired"]) for case in cases("chain", "block")] == [
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        2,
        1,
        0,
        0,
        0,
    ]
