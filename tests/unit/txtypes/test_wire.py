"""The wire: every length, every word, every signature byte, and which refusal comes first (protocol section 3)."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from crypto.hashing import keccak256
from tests.model import signing
from tests.model.encoding import CURVE_ORDER
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, CAROL, CAROL_KEY, RESOURCE
from tests.workbench import Workbench
from txtypes import wire
from txtypes.create_pool import CreatePoolFields
from txtypes.service_payment import ServicePaymentFields
from txtypes.table import KINDS, KINDS_BY_NAME
from txtypes.transfer import TransferFields

POOL = b"\x77" * 32


class Form(NamedTuple):
    """Where the parts of one type stand."""

    name: str
    code: int
    length: int
    words: dict[str, int]
    """Offset of each word."""
    signatures: dict[str, int]


FORMS = (
    Form("Transfer", 1, 194, {"to": 1, "amount": 33, "fee": 65, "nonce": 97}, {"signature": 129}),
    Form(
        "CreatePool",
        2,
        258,
        {"resourceId": 1, "deposit": 33, "collateral": 65, "duration": 97, "fee": 129, "nonce": 161},
        {"signature": 193},
    ),
    Form(
        "ServicePayment",
        3,
        291,
        {"target": 1, "amount": 33, "cptxHash": 65, "tgtSeq": 97, "fee": 194},
        {"paymentSignature": 129, "signature": 226},
    ),
)
BITS = {"to": 160, "target": 160, "nonce": 64, "duration": 64, "tgtSeq": 64, "resourceId": 256, "cptxHash": 256}
"""Bits that a word may have set; amounts have 128."""
WORDS = [(form, name) for form in FORMS for name in form.words]
SIGNATURES = [(form, name) for form in FORMS for name in form.signatures]

by_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
by_word = pytest.mark.parametrize(("form", "name"), WORDS, ids=[f"{form.name}.{name}" for form, name in WORDS])
by_signature = pytest.mark.parametrize(
    ("form", "name"), SIGNATURES, ids=[f"{form.name}.{name}" for form, name in SIGNATURES]
)


def sample(bench: Workbench, form: Form) -> bytes:
    match form.code:
        case 1:
            return signing.transfer(ALICE_KEY, bench.signing, BOB, 7, 11, 0)
        case 2:
            return signing.create_pool(ALICE_KEY, bench.signing, RESOURCE, 20, 30, 5, 11, 0)
        case _:
            return signing.service_payment(ALICE_KEY, CAROL_KEY, bench.signing, 9, POOL, 1, 11)


def put(raw: bytes, at: int, part: bytes) -> bytes:
    return raw[:at] + part + raw[at + len(part) :]


def test_table_has_the_three_types() -> None:
    assert {code: kind.name for code, kind in KINDS.items()} == {form.code: form.name for form in FORMS}
    assert {name: kind.code for name, kind in KINDS_BY_NAME.items()} == {form.name: form.code for form in FORMS}
    assert [wire.Wire(KINDS[form.code].layout).wire_bytes for form in FORMS] == [194, 258, 291]


@by_form
def test_layout_is_the_protocols(form: Form) -> None:
    words: dict[str, int] = {}
    signatures: dict[str, int] = {}
    at = 1
    for part in KINDS[form.code].layout:
        place = signatures if part.abi == wire.SIGNATURE else words
        place[part.name] = at
        at += 65 if part.abi == wire.SIGNATURE else 32
    assert (words, signatures, at) == (form.words, form.signatures, form.length)


def test_fields_and_signers_are_read_from_their_places(bench: Workbench) -> None:
    transfer, create, payment = (bench.decode(sample(bench, form)) for form in FORMS)
    assert transfer.fields == TransferFields(BOB, 7, 11, 0)
    assert create.fields == CreatePoolFields(RESOURCE, 20, 30, 5, 11, 0)
    assert payment.fields == ServicePaymentFields(CAROL, 9, POOL, 1, 11)
    assert (transfer.signers, create.signers, payment.signers) == ((ALICE,), (ALICE,), (ALICE, CAROL))
    assert (transfer.sender, payment.sender) == (ALICE, CAROL)


@by_form
def test_hash_is_over_all_bytes(bench: Workbench, form: Form) -> None:
    raw = sample(bench, form)
    assert len(raw) == form.length
    assert bench.decode(raw).raw == raw
    assert bench.decode(raw).hash == keccak256(raw)


@by_form
def test_encode_is_the_inverse(bench: Workbench, form: Form) -> None:
    raw = sample(bench, form)
    kind = KINDS[form.code]
    values = dict(zip(form.words, kind.decode(raw), strict=True))
    signed = dict(zip(form.signatures, kind.signatures(raw), strict=True))
    assert wire.encode(kind, values, signed) == raw


def test_encode_word_of_each_abi_type() -> None:
    assert wire.encode_word(BOB, "address") == bytes(12) + BOB
    assert wire.encode_word(RESOURCE, "bytes32") == RESOURCE
    assert wire.encode_word(2**64 - 1, "uint64") == bytes(24) + b"\xff" * 8
    assert wire.encode_word(2**128 - 1, "uint256") == bytes(16) + b"\xff" * 16


@by_form
def test_length_is_exact(bench: Workbench, form: Form) -> None:
    raw = sample(bench, form)
    for length in range(form.length):
        bench.refuse(raw[:length], "MALFORMED")
    for more in (b"\x00", raw[:1], bytes(32), bytes(65), raw):
        bench.refuse(raw + more, "MALFORMED")
    bench.decode(raw)


@by_form
def test_types_are_not_told_by_their_length(bench: Workbench, form: Form) -> None:
    raw = sample(bench, form)
    for other in FORMS:
        if other is not form:
            bench.refuse(bytes([other.code]) + raw[1:], "MALFORMED")


def test_every_other_type_byte_is_malformed(bench: Workbench) -> None:
    bodies = [sample(bench, form)[1:] for form in FORMS]
    for code in set(range(256)) - {1, 2, 3}:
        for body in bodies[code % 3 :: 3]:
            bench.refuse(bytes([code]) + body, "MALFORMED")


def test_nothing_and_next_to_nothing_are_malformed(bench: Workbench) -> None:
    for raw in (b"", b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"0x01", bytes(194), b"\xff" * 291):
        bench.refuse(raw, "MALFORMED")


@by_word
def test_word_has_the_range_of_its_type(bench: Workbench, form: Form, name: str) -> None:
    raw, at, bits = sample(bench, form), form.words[name], BITS.get(name, 128)
    largest = ((1 << bits) - 1).to_bytes(32, "big")
    assert bench.decode(put(raw, at, largest)).hash == keccak256(put(raw, at, largest))
    assert bench.decode(put(raw, at, bytes(32))).raw == put(raw, at, bytes(32))
    for bit in {bits, bits + 1, (bits + 256) // 2, 255} if bits < 256 else ():
        bench.refuse(put(raw, at, (1 << bit).to_bytes(32, "big")), "MALFORMED")
        bench.refuse(put(raw, at, ((1 << bit) + 1).to_bytes(32, "big")), "MALFORMED")


@by_word
def test_word_is_read_big_endian_and_alone(bench: Workbench, form: Form, name: str) -> None:
    raw, at, bits = sample(bench, form), form.words[name], BITS.get(name, 128)
    mark = bytes(range(1, 33))[-(bits // 8) :].rjust(32, b"\x00")
    before = KINDS[form.code].decode(raw)
    after = KINDS[form.code].decode(put(raw, at, mark))
    place = list(form.words).index(name)
    expected: object = mark if bits == 256 else mark[12:] if bits == 160 else int.from_bytes(mark, "big")
    assert [*after] == [*before[:place], expected, *before[place + 1 :]]


@by_word
def test_malformed_word_comes_before_a_bad_signature(bench: Workbench, form: Form, name: str) -> None:
    broken = put(sample(bench, form), form.signatures["signature"], bytes(65))
    bench.refuse(broken, "BAD_SIGNATURE")
    if BITS.get(name) != 256:
        bench.refuse(put(broken, form.words[name], b"\xff" * 32), "MALFORMED")


@by_signature
@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 30, 31, 35, 36, 54, 55, 255])
def test_v_is_27_or_28(bench: Workbench, form: Form, name: str, v: int) -> None:
    bench.refuse(put(sample(bench, form), form.signatures[name] + 64, bytes([v])), "BAD_SIGNATURE")


@by_signature
def test_other_v_is_somebody_else_or_nobody(bench: Workbench, form: Form, name: str) -> None:
    raw, at = sample(bench, form), form.signatures[name]
    place = list(form.signatures).index(name)
    other = put(raw, at + 64, bytes([55 - raw[at + 64]]))
    assert bench.decode(other).signers[place] != bench.decode(raw).signers[place]


@by_signature
@pytest.mark.parametrize("part", [0, 32], ids=["r", "s"])
@pytest.mark.parametrize("value", [0, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1])
def test_r_and_s_are_from_1_to_n_minus_1(bench: Workbench, form: Form, name: str, part: int, value: int) -> None:
    raw = put(sample(bench, form), form.signatures[name] + part, value.to_bytes(32, "big"))
    bench.refuse(raw, "BAD_SIGNATURE")


@by_signature
def test_high_s_is_refused_though_its_key_could_be_recovered(bench: Workbench, form: Form, name: str) -> None:
    raw, at = sample(bench, form), form.signatures[name]
    bench.refuse(put(raw, at, signing.with_high_s(raw[at : at + 65])), "BAD_SIGNATURE")


@by_signature
def test_s_at_its_bound(bench: Workbench, form: Form, name: str) -> None:
    raw, at, half = sample(bench, form), form.signatures[name] + 32, (CURVE_ORDER - 1) // 2
    place = list(form.signatures).index(name)
    accepted = bench.decode(put(raw, at, half.to_bytes(32, "big")))
    assert accepted.signers[place] not in (ALICE, CAROL)
    bench.refuse(put(raw, at, (half + 1).to_bytes(32, "big")), "BAD_SIGNATURE")
    bench.decode(put(raw, at, (1).to_bytes(32, "big")))


@by_signature
def test_r_without_a_point_on_the_curve(bench: Workbench, form: Form, name: str) -> None:
    raw, at = sample(bench, form), form.signatures[name]
    # x = 5 is on no point of secp256k1: 5^3 + 7 is no square there.
    bench.refuse(put(raw, at, (5).to_bytes(32, "big")), "BAD_SIGNATURE")


@by_form
def test_every_bit_of_the_words_is_signed(bench: Workbench, form: Form) -> None:
    raw = sample(bench, form)
    signers = bench.decode(raw).signers
    for at in form.words.values():
        changed = bench.decode(put(raw, at + 31, bytes([raw[at + 31] ^ 1])))
        assert changed.signers[-1] != signers[-1]
        # The creator's payment says nothing of the fee that the target states to publish it.
        if form.code == 3:
            assert (changed.signers[0] == signers[0]) == (at == form.words["fee"])


def test_publishing_binds_the_payment_but_not_its_signature(bench: Workbench) -> None:
    raw = sample(bench, FORMS[2])
    digest = bench.decode(raw).kind.digests(raw, bench.domain)[0]
    again = raw[:129] + signing.sign_with_nonce(ALICE_KEY, digest, 99) + raw[194:]
    assert again != raw
    assert bench.decode(again).signers == bench.decode(raw).signers
