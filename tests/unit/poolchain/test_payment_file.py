"""A payment file says one thing in one way; everything else is refused with what was expected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from poolchain.failure import Failure
from poolchain.payment_file import Payment, encode_payment, make_payment, parse_payment
from tests.model.signing import key_of

ALICE, BOB = SigningKey(key_of(1)), SigningKey(key_of(2))
DOMAIN = Domain.of(20487, bytes(range(32)))
SIGNED = make_payment(Payment(BOB.address, 5 * 10**18, bytes([0xCD] * 32), 1), ALICE, DOMAIN)


def _changed(path: str, value: Any) -> bytes:
    """The document with one member set, or removed for None."""
    document = SIGNED.to_json()
    *above, name = path.split(".")
    place = document
    for step in above:
        place = place[step]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return json.dumps(document).encode()


def test_payment_is_read_back_with_its_signer() -> None:
    assert parse_payment(encode_payment(SIGNED)) == SIGNED
    assert parse_payment(encode_payment(SIGNED)).signer() == ALICE.address


def test_document_has_the_agreed_members() -> None:
    assert json.loads(encode_payment(SIGNED)) == {
        "version": 1,
        "kind": "payment",
        "chainId": "0x5007",
        "genesisHash": "0x" + bytes(range(32)).hex(),
        "payment": {
            "target": "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF",
            "amount": "0x4563918244f40000",
            "cptxHash": "0x" + "cd" * 32,
            "tgtSeq": "0x1",
        },
        "signature": "0x" + SIGNED.signature.hex(),
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", None),
        ("version", 2),
        ("version", True),
        ("version", "0x1"),
        ("kind", "state"),
        ("chainId", None),
        ("chainId", "0x0"),
        ("chainId", 20487),
        ("genesisHash", "0x00"),
        ("payment", []),
        ("payment.target", "0x2b5ad5c4795c026514f8317c7a215e218dccd6cF"),
        ("payment.amount", "5"),
        ("payment.amount", "0x05"),
        ("payment.amount", hex(2**128)),
        ("payment.tgtSeq", hex(2**64)),
        ("payment.fee", "0x1"),
        ("signature", "0x00"),
        ("more", 1),
    ],
)
def test_document_of_another_form_is_refused(path: str, value: Any) -> None:
    with pytest.raises(Failure, match="this is not a payment file: expected") as caught:
        parse_payment(_changed(path, value))
    assert caught.value.reason == "MALFORMED"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"version":1,"version":1}', b"[" * 1000, b" " * 70_000])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(Failure, match="this is not a payment file") as caught:
        parse_payment(data)
    assert caught.value.reason == "MALFORMED"


def test_signature_that_is_none_is_refused() -> None:
    with pytest.raises(Failure, match="not valid") as caught:
        parse_payment(_changed("signature", "0x" + "00" * 65)).signer()
    assert caught.value.reason == "BAD_SIGNATURE"


def test_changed_payment_has_another_signer() -> None:
    assert parse_payment(_changed("payment.amount", "0x6")).signer() != ALICE.address
    assert parse_payment(_changed("chainId", "0x1")).signer() != ALICE.address
