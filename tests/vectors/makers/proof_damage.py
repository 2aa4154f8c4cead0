"""Ways in which proof documents are damaged, each with the reason that a verifier must give."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from tests.model import signing
from tests.model.encoding import SEAL_TYPE, keccak, merkle_root, signing_digest
from tests.model.signing import Domain, with_high_s
from tests.model.small_chain import AUTHORITY_KEY, BOB, BOB_KEY, CAROL

from .documents import Notary, key_bytes
from .form import Case, text, word
from .hashes import checksum

Bad = tuple[str, Case, str, str, Case]
"""(what is wrong, the document, the reason, why, what is trusted instead)."""
ZERO = text(bytes(32))
ELSEWHERE, HEADER_SAYS = "the path leads to another root", "what the sealed header says counts"
FORM, SIGNER = "every value has one form", "the seal is not the authority's on this block"
COVERED, NAMED = "the seal covers the header", "transactionHash is the hash of transaction"


def put(document: Case, place: str, value: object) -> Case:
    """A copy with another value at a dotted place."""
    found = copy.deepcopy(document)
    *way, last = place.split(".")
    container: Any = found
    for name in way:
        container = container[int(name)] if isinstance(container, list) else container[name]
    container[int(last) if isinstance(container, list) else last] = value
    return found


def without(document: Case, member: str) -> Case:
    return {name: value for name, value in document.items() if name != member}


def flip(shown: str, byte: int = 0) -> str:
    """Bytes as text with the lowest bit of one byte flipped."""
    data = bytearray(key_bytes(shown))
    data[byte] ^= 1
    return text(bytes(data))


def malformed(rows: Mapping[str, Case], why: str) -> Iterator[Bad]:
    for what, document in rows.items():
        yield what, document, "MALFORMED", why, {}


def bad_envelope(document: Case, *, few: bool = False) -> Iterator[Bad]:
    """What stands around every document; `few` leaves out what one kind has shown for all."""
    yield from malformed({f"without {name}": without(document, name) for name in document}, "every member is there")
    yield "an unknown member", {**document, "note": "0x"}, "MALFORMED", "no other member is there", {}
    swapped = "state" if document["kind"] == "header" else "header"
    yield "the kind of another", {**document, "kind": swapped}, "MALFORMED", "a kind has its members", {}
    other = flip(document["genesisHash"], 31)
    yield "another genesis", {**document, "genesisHash": other}, "WRONG_CHAIN", "it is not the trusted one", {}
    yield "another genesis trusted", document, "WRONG_CHAIN", "it is not the document's", {"genesisHash": other}
    yield "another authority trusted", document, "WRONG_AUTHORITY", "it is not the headers'", {"authority": text(BOB)}
    yield "another chain id", {**document, "chainId": "0x5008"}, "WRONG_CHAIN", "it is not the headers'", {}
    if few:
        return
    versions = {f"version {value!r}": {**document, "version": value} for value in (0, 2, "1", "0x1", True)}
    yield from malformed({**versions, "no version": {**document, "version": None}}, "the version is the number 1")
    kinds = {f"kind {value!r}": {**document, "kind": value} for value in ("block", "Header", None, ["header"])}
    yield from malformed(kinds, "a verifier refuses kinds that it does not know")
    seals = {f"sealKind {value!r}": {**document, "sealKind": value} for value in ("bft", "Authority", None)}
    yield from malformed(seals, "a verifier refuses seals that it does not know")
    upper = "0x" + document["genesisHash"][2:].upper()
    forms = ("0x05007", "0X5007", "20487", 20487, "0x0", hex(4503599627370477))
    ids = {f"chainId {value!r}": {**document, "chainId": value} for value in forms}
    yield from malformed({**ids, "genesisHash in capitals": {**document, "genesisHash": upper}}, FORM)


def bad_seal(notary: Notary, document: Case, height: int, *, few: bool = False) -> Iterator[Bad]:
    """The header and seal that stand in the document itself."""
    header, seal = document["header"], document["seal"]
    data = key_bytes(seal)
    high = text(with_high_s(data))
    yield "no seal", {**document, "seal": None}, "WRONG_SEAL", "only block 0 has none", {}
    yield "a seal with a high s", {**document, "seal": high}, "WRONG_SEAL", "s is at most (n - 1) / 2", {}
    elsewhere = notary.sealed(height - 1 or 2)["seal"]
    yield "the seal of another block", {**document, "seal": elsewhere}, "WRONG_SEAL", SIGNER, {}
    yield "a bit of the header", {**document, "header": flip(header, 95)}, "WRONG_SEAL", COVERED, {}
    if few:
        return
    for word_at, name in enumerate(("chainId", "height", "timestamp", "", "", "txCount", "", "", "", "authority")):
        if name:
            out = {**document, "header": flip(header, 32 * word_at + (11 if name == "authority" else 23))}
            yield f"{name} out of range", out, "MALFORMED", "a word is out of the range of its type", {}
    yield from malformed(
        {
            "a header of 319 bytes": {**document, "header": header[:-2]},
            "a header in capitals": {**document, "header": "0x" + header[2:].upper()},
            "a seal of 64 bytes": {**document, "seal": seal[:-2]},
            "a seal of odd length": {**document, "seal": seal + "0"},
        },
        FORM,
    )
    for name, bad, why in (
        ("v 0 or 1", data[:64] + bytes([data[64] - 27]), "v is 27 or 28"),
        ("r 0", word(0) + data[32:], "1 <= r < n"),
        ("another v", data[:64] + bytes([55 - data[64]]), SIGNER),
    ):
        yield f"a seal with {name}", {**document, "seal": text(bad)}, "WRONG_SEAL", why, {}
    made = notary.header_at(height)
    other_chain = Domain(notary.domain.chain_id, bytes(32))
    yield "sealed by Bob", {**document, **notary.reseal(made, BOB_KEY)}, "WRONG_SEAL", SIGNER, {}
    sealed = notary.reseal(made, AUTHORITY_KEY, other_chain)
    yield "sealed for another genesis", {**document, **sealed}, "WRONG_SEAL", "the genesis is part of the domain", {}
    foreign = {**document, **notary.other(height, chainId=1)}
    yield "a header of another chain", foreign, "WRONG_CHAIN", "all headers are of the document's chain", {}
    usurped = {**document, **notary.other(height, authority=BOB)}
    yield "a header of another authority", usurped, "WRONG_AUTHORITY", "all headers name the trusted authority", {}


def bad_history(notary: Notary, document: Case, height: int, head: int) -> Iterator[Bad]:
    """The block's way to the head."""
    history = document["history"]
    path = history["path"]
    rows = {
        "no history": (None, "a block below the head needs one"),
        "history with a size of its own": ({**history, "treeSize": hex(head + 1)}, HEADER_SAYS),
        "history of the tree before": (notary.history(height, head - 1), HEADER_SAYS),
        "history of another block": (notary.history(height + 1, head), "the leaf is the block's height"),
        "history at the next index": ({**history, "leafIndex": hex(height + 1)}, "the leaf is the block's height"),
        "history without a step": ({**history, "path": path[:-1]}, "the path is too short"),
        "history with a step more": ({**history, "path": [*path, ZERO]}, "the path is too long"),
        "history without steps": ({**history, "path": []}, "the path is too short"),
        "history with two steps exchanged": ({**history, "path": [path[1], path[0], *path[2:]]}, ELSEWHERE),
        "history with a bit flipped": ({**history, "path": [*path[:-1], flip(path[-1])]}, ELSEWHERE),
    }
    for what, (bad, why) in rows.items():
        yield what, {**document, "history": bad}, "WRONG_HISTORY", why, {}
    yield from malformed(
        {
            "history as a list": {**document, "history": path},
            "history with an index of 2^64": {**document, "history": {**history, "leafIndex": hex(2**64)}},
            "history with a leading zero": {**document, "history": {**history, "leafIndex": f"0x0{height:x}"}},
            "history with a short hash": {**document, "history": {**history, "path": [path[0][:-2], *path[1:]]}},
            "history with 129 hashes": {**document, "history": {**history, "path": [ZERO] * 129}},
            "history with a member more": {**document, "history": {**history, "root": ZERO}},
        },
        FORM,
    )


def bad_header(notary: Notary, right: Mapping[str, Case]) -> Iterator[Bad]:
    """Blocks and heads that do not belong together."""
    document, own = right["an old block"], right["the head itself"]
    head, last = document["head"], notary.sealed(20)
    swapped = {**document, **last}
    yield "another block in its place", swapped, "WRONG_HISTORY", "the leaf is the block's height", {}
    yield (
        "the head and the block exchanged",
        {**document, **head, "head": notary.sealed(5)},
        "WRONG_HISTORY",
        HEADER_SAYS,
        {},
    )
    yield "a twin of the block", {**document, **notary.other(5, timestamp=2**33)}, "WRONG_HISTORY", ELSEWHERE, {}
    yield "a head of another height", {**document, "head": last}, "WRONG_HISTORY", HEADER_SAYS, {}
    yield "a head that is not sealed", put(document, "head.seal", None), "WRONG_SEAL", "only block 0 has none", {}
    history = {"leafIndex": hex(21), "treeSize": hex(21), "path": []}
    beyond = {**own, "history": history}
    yield "the head in its own history", beyond, "WRONG_HISTORY", "a head is no leaf of its own tree", {}
    digest = signing_digest(notary.domain.separator, SEAL_TYPE, notary.hashes(22)[21])
    again = text(signing.sign_with_nonce(AUTHORITY_KEY, digest, 12345))
    yield "one block with two seals", {**own, "seal": again}, "WRONG_SEAL", "one block has one seal in a document", {}
    genesis = right["block 0 as the head"]
    seal = notary.reseal(notary.header_at(0))["seal"]
    for what in ("seal", "head.seal"):
        yield f"block 0 with a {what}", put(genesis, what, seal), "WRONG_SEAL", "block 0 has no seal", {}
    other = notary.other(0, timestamp=1)
    bad = {**genesis, **other, "seal": None, "head": {**other, "seal": None}}
    yield "another block 0", bad, "WRONG_CHAIN", "block 0 is known by its hash", {}


def bad_transaction(notary: Notary, document: Case) -> Iterator[Bad]:
    """The transaction and its way into the block."""
    inclusion, other = document["inclusion"], notary.transaction(2, 3, 9)
    path, raw = inclusion["path"], document["transaction"]
    both = {name: other[name] for name in ("transaction", "transactionHash")}
    yield "another transaction's hash", {**document, **without(both, "transaction")}, "WRONG_HASH", NAMED, {}
    yield "a bit of the transaction", {**document, "transaction": flip(raw, 50)}, "WRONG_HASH", NAMED, {}
    yield "a byte behind the transaction", {**document, "transaction": raw + "00"}, "WRONG_HASH", NAMED, {}
    rows = {
        "another transaction": {**document, **both},
        "at the next index": put(document, "inclusion.leafIndex", "0x3"),
        "at the index before": put(document, "inclusion.leafIndex", "0x1"),
        "at an index beyond the block": put(document, "inclusion.leafIndex", "0x6"),
        "at an index far beyond": put(document, "inclusion.leafIndex", hex(2**63 + 2)),
        "in a block of seven": put(document, "inclusion.treeSize", "0x7"),
        "in a block of five": put(document, "inclusion.treeSize", "0x5"),
        "in a block of none": put(document, "inclusion.treeSize", "0x0"),
        "with the path of another": {**document, "inclusion": other["inclusion"]},
        "without a step": put(document, "inclusion.path", path[1:]),
        "with a step twice": put(document, "inclusion.path", [path[0], *path]),
        "with the path turned round": put(document, "inclusion.path", path[::-1]),
        "without a path": put(document, "inclusion.path", []),
        "with a bit of the path flipped": put(document, "inclusion.path.0", flip(path[0])),
    }
    for what, bad in rows.items():
        yield what, bad, "WRONG_INCLUSION", HEADER_SAYS if "block of" in what else ELSEWHERE, {}
    yield from malformed(
        {
            "without the prefix": {**document, "transaction": raw[2:]},
            "with an odd digit": {**document, "transaction": raw + "0"},
            "a hash of 31 bytes": {**document, "transactionHash": document["transactionHash"][:-2]},
            "inclusion null": {**document, "inclusion": None},
            "a number for the index": put(document, "inclusion.leafIndex", 2),
        },
        FORM,
    )
    leaves = notary.chain[2].made.raws
    first = key_bytes(notary.transaction(2, 0, 9)["inclusion"]["path"][0])
    node = b"\x01" + merkle_root(leaves[:1]) + first
    from_node = {"transaction": text(node[1:]), "transactionHash": text(keccak(node[1:]))}
    inner = {"leafIndex": "0x0", "treeSize": "0x6", "path": notary.transaction(2, 0, 9)["inclusion"]["path"][1:]}
    yield (
        "an inner node as a transaction",
        {**document, **from_node, "inclusion": inner},
        "WRONG_INCLUSION",
        "a leaf is hashed as a leaf",
        {},
    )


def bad_consistency(notary: Notary, right: Mapping[str, Case], first: int, second: int) -> Iterator[Bad]:
    """Two heads that do not follow from each other."""
    document = right[f"from {first} to {second}"]
    path = document["path"]
    rows = {
        "without a step": {**document, "path": path[:-1]},
        "with a step more": {**document, "path": [*path, ZERO]},
        "without steps": {**document, "path": []},
        "with two steps exchanged": {**document, "path": [path[1], path[0], *path[2:]]},
        "with a bit of the path flipped": {**document, "path": [flip(path[0]), *path[1:]]},
        "with the path from another height": {**document, "path": right[f"from 8 to {second}"]["path"]},
        "the heads exchanged": {**document, "first": document["second"], "second": document["first"]},
        "from block 0 with a step": {**right[f"from 0 to {second}"], "path": [ZERO]},
        "between equal heads with a step": {**right[f"from {second} to {second}"], "path": [ZERO]},
    }
    for what, bad in rows.items():
        yield what, bad, "WRONG_CONSISTENCY", "the path does not connect the two trees", {}
    forked = {**document, "first": notary.other(first, historyRoot=bytes(32))}
    yield "a first head of another history", forked, "WRONG_HISTORY", "it is not in the second one's", {}
    twin = {**document, "first": notary.other(first, timestamp=2**33)}
    yield "a twin of the first head", twin, "WRONG_HISTORY", "the first head is a leaf of the second one's tree", {}
    equal = {**right[f"from {second} to {second}"], "second": notary.other(second, timestamp=2**33)}
    yield "a twin of equal height", equal, "WRONG_HISTORY", "without a path both are one block", {}
    for part in ("first", "second"):
        bad = put(document, f"{part}.seal", notary.sealed(2)["seal"])
        yield f"the {part} head with another seal", bad, "WRONG_SEAL", SIGNER, {}
    usurped = {**document, "second": notary.other(second, authority=BOB)}
    yield "a second head of another authority", usurped, "WRONG_AUTHORITY", "both name the trusted authority", {}
    yield from malformed(
        {
            "path null": {**document, "path": None},
            "first without a seal": {**document, "first": without(document["first"], "seal")},
            "second with its height": {**document, "second": {**document["second"], "height": "0x15"}},
        },
        FORM,
    )


def bad_state(notary: Notary, right: Mapping[str, Case], height: int) -> Iterator[Bad]:
    """Records that are not in the state, or say something else."""
    pool, absent, target = right["a pool"], right["no pool"], right["a target"]
    record, raw, proof = pool["record"], pool["recordBytes"], key_bytes(pool["proof"])
    nothing = {"record": None, "recordBytes": None}
    rows = {
        "a pool said to be absent": ({**pool, **nothing}, "a proof of presence proves no absence"),
        "an absent pool said to be present": ({**absent, "record": record, "recordBytes": raw}, "and the reverse"),
        "under the key of another pool": ({**pool, "key": absent["key"]}, "the key is part of the leaf"),
        "the absence of the pool itself": ({**absent, "key": pool["key"]}, "its key leads to another leaf"),
        "with the proof of an account": ({**pool, "proof": right["an account"]["proof"]}, ELSEWHERE),
        "in an earlier state": ({**pool, **notary.sealed(height - 19)}, "the root of another state"),
        "an old record in a new state": ({**right["an earlier state"], **notary.sealed(height)}, ELSEWHERE),
        "with a bit of the record flipped": ({**pool, "recordBytes": flip(raw, 90)}, ELSEWHERE),
        "with a longer record": ({**pool, "recordBytes": raw + "00"}, ELSEWHERE),
        "with a bit of the proof flipped": ({**pool, "proof": flip(pool["proof"], -1)}, ELSEWHERE),
        "said to be of an empty state": ({**absent, "proof": "0x00"}, "the root is not the empty one"),
        "an object of more": (put(pool, "record.remaining", "0x3e8"), "record says what recordBytes says"),
        "an object of less": ({**pool, "record": without(record, "status")}, "record says what recordBytes says"),
        "an empty object": ({**pool, "record": {}}, "record says what recordBytes says"),
        "a creator in lower case": (put(pool, "record.creator", record["creator"].lower()), "one form"),
        "the record of another target": (
            {**target, "key": {**target["key"], "target": checksum(CAROL)}},
            "the target is part of the key",
        ),
        "another leaf that is its own": ({**right["no account"], "key": right["an account"]["key"]}, ELSEWHERE),
    }
    for what, (bad, why) in rows.items():
        yield what, bad, "WRONG_STATE", why, {}
    siblings = 2 + proof[1]
    zero = proof[:1] + bytes([proof[1] + 1]) + proof[2:siblings] + b"\x00" + proof[siblings:]
    capitals = {"account": right["an account named in lower case"]["key"]["account"].upper().replace("X", "x")}
    yield from malformed(
        {
            "record without its bytes": {**pool, "recordBytes": None},
            "bytes without their record": {**pool, "record": None},
            "no proof": {**pool, "proof": "0x"},
            "a proof of kind 3": {**pool, "proof": text(b"\x03" + proof[1:])},
            "a proof with a byte behind it": {**pool, "proof": text(proof + b"\x00")},
            "a proof without a sibling": {**pool, "proof": text(proof[:-32])},
            "a proof with a longer bitmap": {**pool, "proof": text(zero)},
            "an empty proof with a byte behind it": {**absent, "proof": "0x0000"},
            "burned false": {**right["what was burned"], "key": {"burned": False}},
            "no key": {**pool, "key": {}},
            "two keys": {**pool, "key": {**pool["key"], "burned": True}},
            "a target without a pool": {**target, "key": {"target": checksum(BOB)}},
            "an account with a wrong checksum": {**right["an account named in lower case"], "key": capitals},
        },
        FORM,
    )
    yield from unwritten(notary, pool, height)


def unwritten(notary: Notary, pool: Case, height: int) -> Iterator[Bad]:
    """Records that no ledger writes, though the authority commits to them."""
    raw = key_bytes(pool["recordBytes"])
    above = raw[:84] + raw[52:68][:-1] + bytes([raw[67] + 1]) + raw[100:]
    rows = {
        "a record of another length": (raw + b"\x00", "a pool has 117 bytes"),
        "a record of status 3": (raw[:-1] + b"\x03", "the status is 0, 1 or 2"),
        "more spent than deposited": (above, "remaining is not below 0"),
    }
    for what, (record, why) in rows.items():
        [(key, _)] = [(key, shown) for key, (shown, _) in notary.chain[height].records.items() if shown == pool["key"]]
        sealed, proof = notary.over(height, {key: record})
        bad = {**pool, "recordBytes": text(record), "proof": text(proof), **sealed}
        yield what, bad, "MALFORMED", why, {}


def bad_equivocation(notary: Notary, document: Case, height: int) -> Iterator[Bad]:
    """Pairs that prove nothing against the authority."""
    first = document["first"]
    apart, same = "the blocks are of different heights", "both are the same block"
    yield "one block twice", {**document, "second": first}, "WRONG_EQUIVOCATION", same, {}
    digest = signing_digest(notary.domain.separator, SEAL_TYPE, notary.hashes(height + 1)[height])
    again = {**first, "seal": text(signing.sign_with_nonce(AUTHORITY_KEY, digest, 12345))}
    yield "one block with two seals", {**document, "second": again}, "WRONG_EQUIVOCATION", same, {}
    yield "two heights", {**document, "second": notary.sealed(height + 1)}, "WRONG_EQUIVOCATION", apart, {}
    yield "no seal", put(document, "second.seal", None), "WRONG_SEAL", "anybody can write a header", {}
    by_bob = {**document, "second": {**document["second"], "seal": notary.reseal(notary.header_at(5), BOB_KEY)["seal"]}}
    yield "sealed by Bob", by_bob, "WRONG_SEAL", SIGNER, {}
    genesis = notary.sealed(0)
    yield "block 0 twice", {**document, "first": genesis, "second": genesis}, "WRONG_EQUIVOCATION", same, {}
    yield "a block and its header", {**document, "second": first["header"]}, "MALFORMED", FORM, {}
