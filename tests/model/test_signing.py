"""Signatures and addresses against eth-account."""

import pytest

from . import signing
from .encoding import CURVE_ORDER
from .small_chain import ALICE_KEY, AUTHORITY_KEY, BOB, BOB_KEY, RESOURCE, Chain

# Signing against another implementation


def typed_data(chain: Chain, primary: str, message: dict[str, object]) -> dict[str, object]:
    """The typed-data document as a wallet would get it."""
    payment = [("target", "address"), ("amount", "uint256"), ("cptxHash", "bytes32")]
    members: dict[str, list[tuple[str, str]]] = {
        "EIP712Domain": [
            ("name", "string"),
            ("version", "string"),
            ("chainId", "uint256"),
            ("salt", "bytes32"),
        ],
        "Transfer": [
            ("to", "address"),
            ("amount", "uint256"),
            ("fee", "uint256"),
            ("nonce", "uint64"),
        ],
        "CreatePool": [
            ("resourceId", "bytes32"),
            ("deposit", "uint256"),
            ("collateral", "uint256"),
            ("duration", "uint64"),
            ("fee", "uint256"),
            ("nonce", "uint64"),
        ],
        "ServicePayment": [*payment, ("tgtSeq", "uint64")],
        "Settlement": [("payment", "ServicePayment"), ("fee", "uint256")],
        "Seal": [("blockHash", "bytes32")],
    }
    wanted = {"EIP712Domain", primary} | ({"ServicePayment"} if primary == "Settlement" else set())
    return {
        "types": {
            name: [{"name": member, "type": kind} for member, kind in members[name]]
            for name in members
            if name in wanted
        },
        "primaryType": primary,
        "domain": {
            "name": "Poolchain",
            "version": "1",
            "chainId": chain.domain.chain_id,
            "salt": chain.domain.genesis_hash,
        },
        "message": message,
    }


def test_signatures_are_those_of_eth_account(chain: Chain) -> None:
    eth_account = pytest.importorskip("eth_account")

    def by_wallet(key: bytes, primary: str, message: dict[str, object]) -> bytes:
        document = typed_data(chain, primary, message)
        signed = eth_account.Account.sign_typed_data(key, full_message=document)
        return bytes(signed.signature)

    pool_id, bob = b"\x44" * 32, "0x" + BOB.hex()
    payment: dict[str, object] = {
        "target": bob,
        "amount": 2**128 - 1,
        "cptxHash": pool_id,
        "tgtSeq": 2**64 - 1,
    }
    transfer: dict[str, object] = {"to": bob, "amount": 7, "fee": 8, "nonce": 9}
    create: dict[str, object] = {"resourceId": RESOURCE, "deposit": 1, "collateral": 2}
    create |= {"duration": 3, "fee": 4, "nonce": 5}
    raw = chain.transfer(ALICE_KEY, BOB, 7, 8, 9)
    assert raw[129:] == by_wallet(ALICE_KEY, "Transfer", transfer)
    raw = chain.create(1, 2, 3, 4, 5)
    assert raw[193:] == by_wallet(ALICE_KEY, "CreatePool", create)
    raw = chain.payment(BOB_KEY, pool_id, 2**128 - 1, 2**64 - 1, 6)
    assert raw[129:194] == by_wallet(ALICE_KEY, "ServicePayment", payment)
    settlement: dict[str, object] = {"payment": payment, "fee": 6}
    assert raw[226:] == by_wallet(BOB_KEY, "Settlement", settlement)
    seal = signing.sign_seal(AUTHORITY_KEY, chain.domain, pool_id)
    assert seal == by_wallet(AUTHORITY_KEY, "Seal", {"blockHash": pool_id})


def test_addresses_are_those_of_eth_account() -> None:
    eth_account = pytest.importorskip("eth_account")
    for number in (1, 2, 3, 4, 6, CURVE_ORDER - 1):
        key = signing.key_of(number)
        address = eth_account.Account.from_key(key).address
        assert bytes.fromhex(address[2:]) == signing.address_of(key)
