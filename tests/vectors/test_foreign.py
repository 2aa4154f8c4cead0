"""Foreign libraries against the vector files: what is written there is not our reading of the standards alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.js_oracle import ask_node
from tests.wallets import MEMBERS, EthAccount, document

from .reading import Case, Wrong, cases, check_all, data, text

if TYPE_CHECKING:
    from collections.abc import Mapping

# Invalid cases that ethers lets through: it is more tolerant than the protocol, which wants one form of everything.
# Of a high s it sees only the top bit, and what it takes for v is 0, 1 and 35 upward, too.
V = (0, 1, 35, 36, 127, 128, 255)
TOLERATED: Mapping[str, set[str]] = {
    "addresses": {
        "all upper case",
        "all upper case where the checksum is all lower",
        "without prefix",
        "ICAP form",
    },
    "signatures": {"64 bytes", "s (n + 1) / 2", *(f"v {v}" for v in V)},
    "seals": {f"chain {chain}: {what}" for chain in (1, 20487, 4503599627370476) for what in ("v 0 or 1", "64 bytes")},
}
# Written in JavaScript as far as libraries go; what is only our own form (lengths, words, files) has no foreign judge.
VALID_ONLY = ("transactions", "headers", "receipts", "genesis", "chain")


def is_trivial(case: Case) -> bool:
    """A consistency proof in which there is nothing to hash: no library has an opinion."""
    given = case["input"]
    return case["kind"] == "consistency" and given["firstSize"] in {"0x0", given["secondSize"]}


@pytest.mark.node
def test_ethers_noble_sigstore_and_transmute() -> None:
    files = {name: cases(name) for name in ("hashes", "keys", "addresses", "eip712", "signatures", "seals")}
    files["merkle"] = [case for case in cases("merkle") if not is_trivial(case)]
    files |= {name: [case for case in cases(name) if "expected" in case] for name in VALID_ONLY}
    answers = ask_node("vectors.mjs", files)
    wrong, tolerated = [], {}
    for name, chosen in files.items():
        answered = answers[name]
        assert {case["name"] for case in chosen} == set(answered)
        for case in chosen:
            found = answered[case["name"]]
            if "expected" in case and found != {"expected": case["expected"]}:
                wrong.append(f"{name}, {case['name']}: {str(found)[:300]}")
        accepted = {case["name"] for case in chosen if "error" in case and "error" not in answered[case["name"]]}
        tolerated[name] = accepted - TOLERATED.get(name, set())
    assert wrong == []
    assert {name: accepted for name, accepted in tolerated.items() if accepted} == {}


@pytest.fixture(scope="module")
def wallet() -> EthAccount:
    return EthAccount()


def typed(given: Case) -> Case:
    """A digest case's input as eth-account wants it."""
    domain = given["domain"]
    message = values(given["primaryType"], given["message"])
    return document(given["primaryType"], int(domain["chainId"], 16), data(domain["salt"]), message)


def values(struct: str, message: Case) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in MEMBERS[struct]:
        shown = message[name]
        if isinstance(shown, dict):
            found[name] = values(kind, shown)
        else:
            found[name] = int(shown, 16) if kind.startswith("uint") else data(shown)
    return found


def test_eth_account_digests(wallet: EthAccount) -> None:
    for case in cases("eip712", "digest"):
        digest = text(wallet.digest(typed(case["input"])))
        if "expected" in case:
            assert digest == case["expected"]["digest"], case["name"]
        else:
            assert digest != case["input"]["digest"], case["name"]


def test_eth_account_keys_and_addresses(wallet: EthAccount) -> None:
    checksum = pytest.importorskip("eth_utils").to_checksum_address

    def key(given: Case) -> Case:
        public = pytest.importorskip("eth_keys").keys.PrivateKey(data(given["secret"])).public_key
        return {"publicKey": public.to_hex(), "address": wallet.address(data(given["secret"]))}

    def mnemonic(given: Case) -> Case:
        secret, address = wallet.derived(given["mnemonic"], given["path"])
        return {"secret": text(secret), "address": address}

    check_all([case for case in cases("keys", "key") if "expected" in case], key, {})
    check_all(cases("keys", "mnemonic"), mnemonic, {})
    check_all(cases("addresses", "show"), lambda given: {"text": checksum(given["address"])}, {})


def test_eth_account_signatures(wallet: EthAccount) -> None:
    def recover(given: Case) -> Case:
        return {"address": text(wallet.recover_digest(data(given["digest"]), data(given["signature"])))}

    def sign(given: Case) -> Case:
        return {"signature": text(wallet.sign_digest(data(given["secret"]), data(given["digest"])))}

    check_all([case for case in cases("signatures", "recover") if "expected" in case], recover, {})
    check_all(cases("signatures", "sign"), sign, {})


def test_eth_account_transactions_and_seals(wallet: EthAccount) -> None:
    for case in cases("transactions"):
        if "expected" not in case:
            continue
        signatures = sign_fields(wallet, case["input"], case["expected"])
        for signature in signatures:
            assert signature in data(case["input"]["raw"]), case["name"]
    for case in cases("seals"):
        given = case["input"]
        message = {"blockHash": data(given["blockHash"])}
        typed_seal = document("Seal", int(given["chainId"], 16), data(given["salt"]), message)
        if "expected" in case:
            assert text(wallet.digest(typed_seal)) == case["expected"]["digest"]
            assert text(wallet.recover(typed_seal, data(given["seal"]))) == given["authority"]


def sign_fields(wallet: EthAccount, given: Case, expected: Case) -> list[bytes]:
    """The signatures that eth-account makes over the fields of a transaction, with the secrets given."""
    make = partial(document, chain_id=int(given["chainId"], 16), salt=data(given["salt"]))
    secrets = [data(secret) for secret in expected["secrets"]]
    message = values(expected["type"], expected["fields"])
    found = [wallet.sign(secrets[0], make(expected["type"], message=message))]
    if expected["type"] == "ServicePayment":
        settlement = {"payment": message, "fee": int(expected["fields"]["fee"], 16)}
        found.append(wallet.sign(secrets[1], make("Settlement", message=settlement)))
    return found


def test_pymerkle_roots_and_paths() -> None:
    pymerkle = pytest.importorskip("pymerkle")

    def tree_of(entries: list[bytes]) -> Any:
        tree = pymerkle.InmemoryTree(algorithm="sha256")
        for entry in entries:
            tree.append_entry(entry)
        return tree

    def root(given: Case) -> Case:
        found = text(tree_of([data(entry) for entry in given["entries"]]).get_root())
        if given.get("root", found) != found:
            raise Wrong("WRONG_ROOT")
        return {"root": found}

    check_all(cases("merkle", "root"), root, {})
    whole = tree_of([bytes(index % 251 for index in range(length)) for length in range(100)])
    for case in cases("merkle", "inclusion"):
        given = case["input"]
        if "expected" in case:
            proof = whole.prove_inclusion(int(given["index"], 16) + 1, int(given["size"], 16))
            assert [text(sibling) for sibling in proof.path[1:]] == given["path"], case["name"]
