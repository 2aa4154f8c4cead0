"""Raw transactions of the three types, and everything that is not one."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.model import signing
from tests.model.encoding import keccak
from tests.model.signing import Domain, address_of

from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid
from .signatures import bad_signatures

SIZES = {1: 194, 2: 258, 3: 291}
NAMES = {1: "Transfer", 2: "CreatePool", 3: "ServicePayment"}
UINT64, AMOUNT, ADDRESS = 64, 128, 160
# Field and bits of each word, at the byte where it begins.
WORDS = {
    1: {1: ("to", ADDRESS), 33: ("amount", AMOUNT), 65: ("fee", AMOUNT), 97: ("nonce", UINT64)},
    2: {
        33: ("deposit", AMOUNT),
        65: ("collateral", AMOUNT),
        97: ("duration", UINT64),
        129: ("fee", AMOUNT),
        161: ("nonce", UINT64),
    },
    3: {1: ("target", ADDRESS), 33: ("amount", AMOUNT), 97: ("tgtSeq", UINT64), 194: ("fee", AMOUNT)},
}
SIGNATURES = {1: {129: "signature"}, 2: {193: "signature"}, 3: {129: "paymentSignature", 226: "signature"}}
TYPE, SIZE = "the type byte is 1, 2 or 3", "a transaction of this type has another length"
RANGE = "a word is out of the range of its type"


class Made(NamedTuple):
    """A transaction and what it is made of."""

    name: str
    domain: Domain
    raw: bytes
    secrets: list[bytes]
    """In the order of the signatures."""
    fields: dict[str, bytes | int]

    def given(self) -> Case:
        return {"chainId": hex(self.domain.chain_id), "salt": text(self.domain.genesis_hash), "raw": text(self.raw)}

    def expected(self) -> Case:
        shown = {name: text(value) if isinstance(value, bytes) else hex(value) for name, value in self.fields.items()}
        return {
            "type": NAMES[self.raw[0]],
            "fields": shown,
            "hash": text(keccak(self.raw)),
            "signers": [text(address_of(secret)) for secret in self.secrets],
            "secrets": [text(secret) for secret in self.secrets],
        }


def transfer(name: str, domain: Domain, secret: bytes, to: bytes, amount: int, fee: int, nonce: int) -> Made:
    raw = signing.transfer(secret, domain, to, amount, fee, nonce)
    return Made(name, domain, raw, [secret], {"to": to, "amount": amount, "fee": fee, "nonce": nonce})


def create_pool(name: str, domain: Domain, secret: bytes, resource: bytes, numbers: tuple[int, ...]) -> Made:
    """`numbers` are deposit, collateral, duration, fee and nonce."""
    deposit, collateral, duration, fee, nonce = numbers
    raw = signing.create_pool(secret, domain, resource, deposit, collateral, duration, fee, nonce)
    names = ("deposit", "collateral", "duration", "fee", "nonce")
    return Made(name, domain, raw, [secret], {"resourceId": resource, **dict(zip(names, numbers, strict=True))})


def payment(name: str, domain: Domain, secrets: list[bytes], pool: bytes, numbers: tuple[int, ...]) -> Made:
    """`numbers` are amount, tgtSeq and fee."""
    amount, tgt_seq, fee = numbers
    raw = signing.service_payment(secrets[0], secrets[1], domain, amount, pool, tgt_seq, fee)
    target = address_of(secrets[1])
    fields: dict[str, bytes | int] = {
        "target": target,
        "amount": amount,
        "cptxHash": pool,
        "tgtSeq": tgt_seq,
        "fee": fee,
    }
    return Made(name, domain, raw, secrets, fields)


def transaction_files() -> list[VectorFile]:
    chance = dice("transactions")
    domains = [Domain(chain_id, chance.randbytes(32)) for chain_id in (1, 20487, 4503599627370476)]
    made = [one for domain in domains for one in three_kinds(chance, domain)]
    cases = [valid("transaction", one.name, one.given(), one.expected()) for one in made]
    cases += [invalid("transaction", *entry) for one in made[3:6] for entry in damaged(one)]
    cases += [invalid("transaction", *entry) for entry in strangers(made[3])]
    return [
        VectorFile(
            "transactions",
            "Transactions on the wire: bytes, fields, hash and signers (section 3).",
            paragraphs(
                """
                kind transaction: input has the domain (chainId and salt, the genesis hash) and the raw bytes.
                expected.fields are decoded, hash is Keccak-256 of raw, signers are recovered in the order of the
                signatures (the last one is the sender). Signing the fields with expected.secrets,
                deterministically, gives raw again.

                MALFORMED: the bytes are not the one encoding of a transaction. BAD_SIGNATURE: they are, but a
                signature is not canonical or gives no key. MALFORMED comes first where both are true.
                """
            ),
            cases,
        )
    ]


def three_kinds(chance: random.Random, domain: Domain) -> list[Made]:
    largest, name = domain.chain_id > 20487, f"on chain {domain.chain_id}"
    amounts = (2**128 - 1,) * 3 if largest else tuple(chance.randrange(10**24) for _ in range(3))
    small = 2**64 - 1 if largest else chance.randrange(1000)
    one, two = chance.randbytes(32), chance.randbytes(32)
    to = b"\xff" * 20 if largest else chance.randbytes(20)
    return [
        transfer(f"Transfer {name}", domain, one, to, amounts[0], amounts[1], small),
        create_pool(f"CreatePool {name}", domain, one, chance.randbytes(32), (*amounts[:2], small, amounts[2], small)),
        payment(f"ServicePayment {name}", domain, [one, two], chance.randbytes(32), (amounts[0], small, amounts[1])),
    ]


Entry = tuple[str, Case, str, str]


def damaged(one: Made) -> list[Entry]:
    raw, kind = one.raw, one.raw[0]
    name = NAMES[kind]

    def with_raw(data: bytes) -> Case:
        return one._replace(raw=data).given()

    found: list[Entry] = [
        (f"{name}: last byte missing", with_raw(raw[:-1]), "MALFORMED", SIZE),
        (f"{name}: a byte too many", with_raw(raw + b"\x00"), "MALFORMED", SIZE),
        (f"{name}: twice", with_raw(raw * 2), "MALFORMED", SIZE),
        (f"{name}: type byte alone", with_raw(raw[:1]), "MALFORMED", SIZE),
    ]
    found += [
        (f"{name}: as type {other}", with_raw(bytes([other]) + raw[1:]), "MALFORMED", SIZE)
        for other in SIZES
        if other != kind
    ]
    found += [
        (f"{name}: type byte {other:#04x}", with_raw(bytes([other]) + raw[1:]), "MALFORMED", TYPE)
        for other in (0x00, 0x04, 0x80, 0xC1, 0xFF)
    ]
    for at, (field, bits) in WORDS[kind].items():
        for what, bit in (("the lowest bit too high", bits), ("the top bit", 255)):
            value = int.from_bytes(raw[at : at + 32], "big") | 1 << bit
            spoilt = raw[:at] + value.to_bytes(32, "big") + raw[at + 32 :]
            found.append((f"{name}: {field} with {what} set", with_raw(spoilt), "MALFORMED", RANGE))
    for at, field in SIGNATURES[kind].items():
        for bad in bad_signatures(raw[at : at + 65]):
            spoilt = raw[:at] + bad.signature + raw[at + 65 :]
            found.append((f"{name}: {field} with {bad.name}", with_raw(spoilt), "BAD_SIGNATURE", bad.why))
    return found


def strangers(one: Made) -> list[Entry]:
    """Bytes that are no transaction of ours at all, and the order of the two errors."""

    def with_raw(data: bytes) -> Case:
        return one._replace(raw=data).given()

    both = one.raw[:33] + b"\x80" + one.raw[34:-65] + bytes(65)
    legacy = bytes.fromhex("f86c0985") + bytes(106)
    return [
        ("no bytes", with_raw(b""), "MALFORMED", TYPE),
        ("a zero byte", with_raw(b"\x00"), "MALFORMED", TYPE),
        ("194 zero bytes", with_raw(bytes(194)), "MALFORMED", TYPE),
        ("a legacy Ethereum transaction", with_raw(legacy), "MALFORMED", TYPE),
        ("bad word and bad signature", with_raw(both), "MALFORMED", RANGE),
        ("fields without signature", with_raw(one.raw[:-65]), "MALFORMED", SIZE),
        ("signature of 64 bytes", with_raw(one.raw[:-1]), "MALFORMED", SIZE),
    ]
