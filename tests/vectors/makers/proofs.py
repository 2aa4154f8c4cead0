"""Proof documents of every kind, and each of them damaged in the ways in which people and forgers damage them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.model.encoding import keccak
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, CAROL, DAVE, DAVE_KEY
from tests.model.small_chain import genesis as small_genesis

from .chain import Story, Terms
from .documents import Notary, Standing
from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid
from .hashes import checksum
from .ledger import Keeper
from .proof_damage import (
    Bad,
    bad_consistency,
    bad_envelope,
    bad_equivocation,
    bad_header,
    bad_history,
    bad_seal,
    bad_state,
    bad_transaction,
)

HEAD = 21
FORMAT = """
    kind document: a verifier that is told to trust input.authority and input.genesisHash accepts input.document
    (docs/protocol.md section 9), where expected.proves names its kind.

    kind text: input.text is the bytes of a file with a document.

    error is the reason of the refusal: MALFORMED, WRONG_CHAIN, WRONG_AUTHORITY, WRONG_SEAL, WRONG_HASH,
    WRONG_INCLUSION, WRONG_HISTORY, WRONG_CONSISTENCY, WRONG_STATE or WRONG_EQUIVOCATION. Each damaged document has one
    fault; the first check that fails, in the order of section 9, names it.
"""


class Scene:
    """A chain of 21 blocks with a pool that is paid from and one that was slashed."""

    def __init__(self) -> None:
        keeper = Keeper(small_genesis(extra=text(dice("proofs").randbytes(32))))
        self.notary = Notary(keeper)
        story = Story(keeper)
        create = story.create(ALICE_KEY, Terms(duration=50))
        self.pool, self.keeper = keccak(create), keeper
        self.block(story, create)
        transfers = [story.transfer(ALICE_KEY, DAVE, amount) for amount in range(1, 6)]
        self.block(story, *transfers, story.pay((ALICE_KEY, BOB_KEY), self.pool, 300))
        slashed = story.create(ALICE_KEY, Terms(deposit=100, duration=40))
        self.slashed = keccak(slashed)
        self.block(story, slashed)
        self.block(story, story.pay((ALICE_KEY, BOB_KEY), self.slashed, 101))
        while keeper.height < HEAD:
            self.block(story)
        self.block(story, story.transfer(DAVE_KEY, CAROL, 1))

    def block(self, story: Story, *raws: bytes) -> None:
        made = self.keeper.block(f"block {self.keeper.height}", 1, *raws)
        story.ahead.clear()
        self.notary.chain.append(Standing(made, self.keeper.records()))


def proof_files() -> list[VectorFile]:
    scene = Scene()
    notary = scene.notary
    trust = notary.trust()

    def good(name: str, document: Case) -> Case:
        return valid("document", name, {"document": document, **trust}, {"proves": document["kind"]})

    def bad(name: str, spoilt: Iterator[Bad]) -> list[Case]:
        return [
            invalid("document", f"{name}: {what}", {"document": document, **trust, **other}, reason, why)
            for what, document, reason, why, other in spoilt
        ]

    files = {
        "transaction": transactions(scene),
        "header": headers(notary),
        "consistency": heads(notary),
        "state": states(scene),
        "equivocation": equivocations(notary),
    }
    found = []
    for kind, (right, wrong) in files.items():
        cases = [good(name, document) for name, document in right.items()]
        for name, spoilt in wrong:
            cases += bad(name, spoilt)
        description = f"Proof documents of the kind {kind} (docs/protocol.md section 9), right and damaged."
        found.append(VectorFile(f"proof_{kind}", description, paragraphs(FORMAT), cases))
    description = "Files with a proof document whose JSON two readers could read differently, or not at all."
    return [*found, VectorFile("proof_text", description, paragraphs(FORMAT), text_cases(notary))]


Kind = tuple[dict[str, Case], list[tuple[str, Iterator[Bad]]]]


def transactions(scene: Scene) -> Kind:
    notary = scene.notary
    right = {
        "the only one of its block": notary.transaction(1, 0, HEAD),
        "one of six, an older head": notary.transaction(2, 2, 9),
        "the last of six": notary.transaction(2, 5, HEAD),
        "in the head itself": notary.transaction(HEAD, 0, HEAD),
    }
    name = "one of six, an older head"
    document = right[name]
    return right, [
        (name, bad_transaction(notary, document)),
        (name, bad_history(notary, document, 2, 9)),
        (name, bad_envelope(document, few=True)),
        (name, bad_seal(notary, document, 2, few=True)),
    ]


def headers(notary: Notary) -> Kind:
    right = {
        "an old block": notary.header(5, HEAD),
        "the block before the head": notary.header(HEAD - 1, HEAD),
        "block 0": notary.header(0, 8),
        "block 0 as the head": notary.header(0, 0),
        "the head itself": notary.header(HEAD, HEAD),
    }
    return right, [
        ("an old block", bad_envelope(right["an old block"])),
        ("an old block", bad_seal(notary, right["an old block"], 5)),
        ("an old block", bad_history(notary, right["an old block"], 5, HEAD)),
        ("an old block", bad_header(notary, right)),
    ]


def heads(notary: Notary) -> Kind:
    pairs = [(7, HEAD), (8, HEAD), (16, HEAD), (HEAD - 1, HEAD), (1, 2), (0, HEAD), (HEAD, HEAD), (0, 0)]
    right = {f"from {first} to {second}": notary.consistency(first, second) for first, second in pairs}
    document = right[f"from 7 to {HEAD}"]
    return right, [
        (f"from 7 to {HEAD}", bad_consistency(notary, right, 7, HEAD)),
        (f"from 7 to {HEAD}", bad_history(notary, document, 7, HEAD)),
        (f"from 7 to {HEAD}", bad_envelope(document, few=True)),
    ]


def states(scene: Scene) -> Kind:
    notary, pool, stranger = scene.notary, text(scene.pool), bytes(19) + b"\x07"
    right = {
        "a pool": notary.state({"cptxHash": pool}, HEAD),
        "a slashed pool": notary.state({"cptxHash": text(scene.slashed)}, HEAD),
        "a target": notary.state({"cptxHash": pool, "target": checksum(BOB)}, HEAD),
        "an account": notary.state({"account": checksum(ALICE)}, HEAD),
        "an account named in lower case": notary.state({"account": text(DAVE)}, HEAD),
        "what was burned": notary.state({"burned": True}, HEAD),
        "no pool": notary.state({"cptxHash": text(keccak(scene.pool))}, HEAD),
        "no target": notary.state({"cptxHash": pool, "target": checksum(CAROL)}, HEAD),
        "no account": notary.state({"account": text(stranger)}, HEAD),
        "nothing burned yet": notary.state({"burned": True}, 2),
        "an account in block 0": notary.state({"account": checksum(BOB)}, 0),
        "an earlier state": notary.state({"cptxHash": pool}, 1),
    }
    return right, [
        ("a pool", bad_state(notary, right, HEAD)),
        ("a pool", bad_envelope(right["a pool"], few=True)),
        ("a pool", bad_seal(notary, right["a pool"], HEAD, few=True)),
    ]


def equivocations(notary: Notary) -> Kind:
    first, second = notary.sealed(5), notary.other(5, timestamp=2**33)
    right = {"two blocks of one height": notary.equivocation(first, second)}
    return right, [
        ("two blocks of one height", bad_equivocation(notary, right["two blocks of one height"], 5)),
        ("two blocks of one height", bad_envelope(right["two blocks of one height"], few=True)),
    ]


def text_cases(notary: Notary) -> list[Case]:
    """The same document in files; JSON on which readers differ proves nothing."""
    trust, document = notary.trust(), notary.header(HEAD, HEAD)
    plain = json.dumps(document)
    repeated, number = "no member stands twice", "no fraction, no exponent, no NaN"
    account = json.dumps(notary.state({"account": checksum(ALICE)}, HEAD))
    large = account.replace('"nonce": "0x', '"nonce": 1000000000000000000000000000000, "n": "0x')
    right = {"compact": plain, "indented": json.dumps(document, indent="\t"), "with line ends": plain + "\r\n"}
    wrong = {
        "kind twice": (plain[:-1] + ', "kind": "header"}', repeated),
        "a seal twice, the first one wrong": ('{"seal": null, ' + plain[1:], repeated),
        "version 1.0": (plain.replace('"version": 1', '"version": 1.0'), number),
        "version 1e0": (plain.replace('"version": 1', '"version": 1e0'), number),
        "version 2": (plain.replace('"version": 1', '"version": 2'), "the version is the number 1"),
        "a large number in a record": (large, "no number but the version"),
        "version NaN": (plain.replace('"version": 1', '"version": NaN'), number),
        "an escape": (plain.replace('"header"', '"\\u0068eader"'), "nothing in a document needs an escape"),
        "an escape in the name of a member": (plain.replace('"seal"', '"se\\u0061l"'), "no escapes"),
        "an escape in a record": (account.replace('"nonce"', '"note": "\\u0000", "nonce"'), "no escapes"),
        "a byte order mark": ("\ufeff" + plain, "JSON in UTF-8 has none"),
        "cut short": (plain[:-1], "not JSON"),
        "two documents": (plain + plain, "not JSON"),
        "a comma too many": (plain[:-1] + ",}", "not JSON"),
        "nothing": ("", "not JSON"),
        "an array around it": (f"[{plain}]", "a document is an object"),
        "a string": (json.dumps("header"), "a document is an object"),
        "null": ("null", "a document is an object"),
        "very deep": ("[" * 50_000, "not JSON"),
    }
    cases = [
        valid("text", name, {"text": text(file.encode()), **trust}, {"proves": "header"})
        for name, file in right.items()
    ]
    cases += [
        invalid("text", name, {"text": text(file.encode()), **trust}, "MALFORMED", why)
        for name, (file, why) in wrong.items()
    ]
    no_text = {"text": text(plain.encode() + b"\xff"), **trust}
    return [*cases, invalid("text", "not UTF-8", no_text, "MALFORMED", "JSON is UTF-8")]
