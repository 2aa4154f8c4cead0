"""ethers against this node, with the same inputs as eth-account: one call of Node.js for each test."""

from __future__ import annotations

import random
from typing import Any

import pytest

from crypto.address import checksum_address
from crypto.hashing import keccak256
from crypto.signature import SigningKey, check_canonical, recover
from poolchain.mnemonic import derive_keys
from tests.js_oracle import ask_node
from tests.wallets import PRIMARY, as_json, document, types_of
from tests.workbench import Workbench

from .samples import FEE, PAYEE, PAYER, PAYMENTS, PHRASES, POOL, TRANSFER, Sample, accept_life, draw_samples, live

pytestmark = pytest.mark.node

Json = dict[str, Any]


def question(typed: Json, secret: bytes, signature: bytes = b"") -> Json:
    """A document as ethers takes it: types without EIP712Domain, numbers as decimal strings."""
    types = {name: members for name, members in typed["types"].items() if name != "EIP712Domain"}
    return {
        "domain": as_json(typed["domain"]),
        "types": types,
        "primaryType": typed["primaryType"],
        "message": as_json(typed["message"]),
        "secret": as_json(secret),
        "signature": as_json(signature or SigningKey(secret).sign(bytes(32))),
    }


def test_digests_signatures_and_signers_are_the_same() -> None:
    samples = draw_samples("eth-account", 40)
    ours = [sample.ours() for sample in samples]
    asked = [
        question(sample.document, sample.secret, signature)
        for sample, (_, signature) in zip(samples, ours, strict=True)
    ]
    answers = ask_node("wallet.mjs", {"documents": asked})["documents"]
    for sample, (digest, signature), answer in zip(samples, ours, answers, strict=True):
        assert answer["digest"] == as_json(digest), sample
        assert answer["signature"] == as_json(signature), sample
        address = checksum_address(SigningKey(sample.secret).address)
        assert (answer["signer"], answer["address"]) == (address, address)
        assert answer["v"] == signature[64]


def test_each_finds_the_same_signer_in_any_signature() -> None:
    samples = draw_samples("strangers", 5)
    chance = random.Random("strangers")
    signatures = [SigningKey(chance.randbytes(32)).sign(sample.ours()[0]) for sample in samples]
    foreign = [SigningKey(sample.secret).sign(chance.randbytes(32)) for sample in samples]
    asked = [question(s.document, s.secret, one) for s, one in zip(samples * 2, signatures + foreign, strict=True)]
    answers = ask_node("wallet.mjs", {"documents": asked})["documents"]
    for sample, signature, answer in zip(samples * 2, signatures + foreign, answers, strict=True):
        assert answer["signer"] == checksum_address(recover(sample.ours()[0], signature))
        theirs = bytes.fromhex(answer["signature"][2:])
        check_canonical(theirs)
        assert recover(sample.ours()[0], theirs) == SigningKey(sample.secret).address


def test_addresses_of_mnemonics_and_hashes_are_the_same() -> None:
    chance = random.Random("hashes")
    texts = [chance.randbytes(chance.choice((0, 1, 32, 135, 136, 137, 194, 258, 291, 320, 5000))) for _ in range(200)]
    asked = {"phrases": [{"phrase": phrase, "count": 11} for phrase in PHRASES], "texts": as_json(texts)}
    answer = ask_node("wallet.mjs", asked)
    assert answer["texts"] == [as_json(keccak256(text)) for text in texts]
    for phrase, found in zip(PHRASES, answer["phrases"], strict=True):
        keys = [{"secret": as_json(k.secret), "address": checksum_address(k.address)} for k in derive_keys(phrase, 11)]
        assert found == keys


def test_ledger_takes_transactions_of_ethers_as_they_are() -> None:
    bench = Workbench()
    domain = document("Seal", bench.genesis.chain_id, bench.genesis_hash, {})["domain"]
    messages = {"transfer": TRANSFER, "pool": POOL, "payments": list(PAYMENTS), "fee": FEE}
    life = {"domain": domain, "payer": PAYER, "payee": PAYEE, "messages": messages}
    asked = as_json(life) | {"types": {primary: types_of(primary) for primary in PRIMARY}}
    raws = [bytes.fromhex(raw[2:]) for raw in ask_node("wallet.mjs", {"life": asked})["life"]]
    accept_life(bench, raws)
    # Signing is deterministic everywhere: these are the very bytes that this node's own signatures give.
    assert raws == live(bench, sign_ourselves)


def sign_ourselves(secret: bytes, typed: Json) -> bytes:
    domain = typed["domain"]
    return Sample(typed["primaryType"], domain["chainId"], domain["salt"], typed["message"], secret).ours()[1]
