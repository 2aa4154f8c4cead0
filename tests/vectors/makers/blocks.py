"""Headers, receipts and whole blocks as bytes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, get_type_hints

from tests.model.encoding import (
    ADDRESS_LIMIT,
    AMOUNT_LIMIT,
    UINT64_LIMIT,
    Header,
    Receipt,
    block_hash,
    encode_header,
    encode_receipt,
)

from .form import Case, VectorFile, counting, dice, invalid, paragraphs, text, texts, valid

OUTCOMES = ("transferred", "created", "settled", "slashed")
HEADER_WORDS = {0: UINT64_LIMIT, 1: UINT64_LIMIT, 2: UINT64_LIMIT, 5: UINT64_LIMIT, 9: ADDRESS_LIMIT}
RECEIPT_WORDS = {2: AMOUNT_LIMIT, 4: AMOUNT_LIMIT, 5: AMOUNT_LIMIT, 6: AMOUNT_LIMIT}
RANGE, OUTCOME = "a word is out of the range of its type", "the outcome is 0 to 3"
SHORT, LONG, LENGTH = "bytes are missing", "there are bytes too many", "the length is another"


def show_members(members: Mapping[str, object]) -> Case:
    return {name: text(value) if isinstance(value, bytes) else f"{value:#x}" for name, value in members.items()}


def show_header(header: Header) -> Case:
    return show_members(header)


def show_receipt(receipt: Receipt) -> Case:
    return show_members(receipt) | {"outcome": OUTCOMES[receipt["outcome"]]}


def draw_header(chance: random.Random, extreme: int | None = None) -> Header:
    """A random header, or one whose bits are all `extreme`."""
    found: Any = {}
    for name, kind in get_type_hints(Header).items():
        bits = 64 if kind is int else 160 if name == "authority" else 256
        value = chance.getrandbits(bits) if extreme is None else extreme * ((1 << bits) - 1)
        found[name] = value if kind is int else value.to_bytes(bits // 8, "big")
    header: Header = found
    return header


def draw_receipt(chance: random.Random, outcome: int, *, largest: bool = False) -> Receipt:
    def amount() -> int:
        return AMOUNT_LIMIT - 1 if largest else chance.randrange(10**24)

    return Receipt(
        transactionHash=chance.randbytes(32),
        outcome=outcome,
        fee=amount(),
        cptxHash=chance.randbytes(32) if outcome else bytes(32),
        paid=amount() if outcome > 1 else 0,
        burned=amount() if outcome > 2 else 0,
        reward=amount() if outcome > 2 else 0,
    )


def spoil_words(raw: bytes, limits: dict[int, int]) -> list[tuple[str, bytes]]:
    """The same with one word out of range, in turn."""
    found = []
    for index, limit in limits.items():
        at = 32 * index
        for what, bit in (("the lowest bit too high", limit), ("the top bit", 1 << 255)):
            value = int.from_bytes(raw[at : at + 32], "big") | bit
            found.append((f"word {index} with {what} set", raw[:at] + value.to_bytes(32, "big") + raw[at + 32 :]))
    return found


def header_file() -> VectorFile:
    chance = dice("headers")
    headers = {
        "zeros": draw_header(chance, 0),
        "the largest values": draw_header(chance, 1),
        **{f"random header {number}": draw_header(chance) for number in range(4)},
    }
    cases = []
    for name, header in headers.items():
        expected = {"header": show_header(header), "hash": text(block_hash(header))}
        cases.append(valid("header", name, {"headerBytes": text(encode_header(header))}, expected))
    raw = encode_header(headers["random header 0"])
    for name, spoilt in spoil_words(raw, HEADER_WORDS):
        cases.append(invalid("header", name, {"headerBytes": text(spoilt)}, "MALFORMED", RANGE))
    for name, spoilt in lengths(raw):
        cases.append(invalid("header", name, {"headerBytes": text(spoilt)}, "MALFORMED", LENGTH))
    return VectorFile(
        "headers",
        "Block headers: ten words, and their hash, the block's (section 6).",
        paragraphs(
            """
            kind header: expected.header is what input.headerBytes say; encoding it gives the bytes back. hash is
            the Keccak-256 of the bytes.

            MALFORMED: the bytes are not the one encoding of a header.
            """
        ),
        cases,
    )


def receipt_file() -> VectorFile:
    chance = dice("receipts")
    receipts = {
        **{name: draw_receipt(chance, code) for code, name in enumerate(OUTCOMES)},
        "the largest values": draw_receipt(chance, 3, largest=True),
    }
    cases = []
    for name, receipt in receipts.items():
        raw = encode_receipt(receipt)
        expected = {"receipt": show_receipt(receipt), "leafHash": text(sha256(b"\x00" + raw).digest())}
        cases.append(valid("receipt", name, {"receiptBytes": text(raw)}, expected))
    raw = encode_receipt(receipts["slashed"])
    spoilt = [(name, bad, RANGE) for name, bad in spoil_words(raw, RECEIPT_WORDS)]
    spoilt += [(name, bad, LENGTH) for name, bad in lengths(raw)]
    for code in (4, 5, 255, 256, 1 << 128, 1 << 255):
        spoilt.append((f"outcome {code:#x}", raw[:32] + code.to_bytes(32, "big") + raw[64:], OUTCOME))
    cases += [invalid("receipt", name, {"receiptBytes": text(bad)}, "MALFORMED", why) for name, bad, why in spoilt]
    return VectorFile(
        "receipts",
        "Receipts: seven words, the leaves of the receiptsRoot (section 6).",
        paragraphs(
            """
            kind receipt: expected.receipt is what input.receiptBytes say; encoding it gives the bytes back.
            leafHash is the hash of the leaf in the receipts tree, SHA-256(0x00 || bytes).

            MALFORMED: the bytes are not the one encoding of a receipt.
            """
        ),
        cases,
    )


def lengths(raw: bytes) -> list[tuple[str, bytes]]:
    return [
        ("no bytes", b""),
        ("last byte missing", raw[:-1]),
        ("last word missing", raw[:-32]),
        ("a byte too many", raw + b"\x00"),
        ("a word too many", raw + bytes(32)),
    ]


def encode_block(header: Header, seal: bytes, raws: list[bytes]) -> bytes:
    """Header || seal length (4) || seal || transaction count (4) || (length (4) || raw) each."""
    counted = [part for raw in raws for part in (len(raw).to_bytes(4, "big"), raw)]
    head = [encode_header(header), len(seal).to_bytes(4, "big"), seal, len(raws).to_bytes(4, "big")]
    return b"".join(head + counted)


def block_file() -> VectorFile:
    chance = dice("blocks")
    raws = [counting(194), counting(258), counting(291)]
    seal = chance.randbytes(65)
    cases = []
    for name, given_seal, given in (
        ("no seal, no transactions", b"", []),
        ("seal, no transactions", seal, []),
        ("one transaction", seal, raws[:1]),
        ("three transactions", seal, raws),
        ("an empty transaction", seal, [b""]),
    ):
        header = draw_header(chance)
        data = encode_block(header, given_seal, given)
        expected = {
            "headerBytes": text(encode_header(header)),
            "seal": text(given_seal) if given_seal else None,
            "transactions": texts(given),
        }
        cases.append(valid("block", name, {"blockBytes": text(data)}, expected))
    header = draw_header(chance)
    data = encode_block(header, seal, raws[:2])
    for name, bad, why in bad_blocks(data):
        cases.append(invalid("block", name, {"blockBytes": text(bad)}, "MALFORMED", why))
    return VectorFile(
        "blocks",
        "Blocks as they are stored, exported and sent, before anything in them is checked.",
        paragraphs(
            """
            kind block: header (320) || length of the seal (4, big-endian; 0 for none) || seal || number of
            transactions (4) || for each its length (4) || its raw bytes. What a transaction is plays no part here.

            MALFORMED: the bytes are not the one encoding of a block.
            """
        ),
        cases,
    )


def bad_blocks(data: bytes) -> list[tuple[str, bytes, str]]:
    count_at = 320 + 4 + 65
    found = [(f"cut after {length} bytes", data[:length], SHORT) for length in (0, 319, 320, 323, 324, 388, 389, 392)]
    found += [(f"cut after {length} bytes", data[:length], SHORT) for length in (393, 396, 397, 590, len(data) - 1)]
    for name, count, why in (
        ("too large by one", 3, SHORT),
        ("too small by one", 1, LONG),
        ("the largest", 2**32 - 1, SHORT),
    ):
        changed = data[:count_at] + count.to_bytes(4, "big") + data[count_at + 4 :]
        found.append((f"number of transactions {name}", changed, why))
    found += [
        ("a byte behind it", data + b"\x00", LONG),
        ("twice", data * 2, LONG),
        ("length of the seal the largest", data[:320] + b"\xff" * 4 + data[324:], SHORT),
        ("length of the last transaction too large by one", lengthen_last(data, 1), SHORT),
        ("length of the last transaction too small by one", lengthen_last(data, -1), LONG),
        ("header out of range", b"\x01" + data[1:], RANGE),
    ]
    return found


def lengthen_last(data: bytes, by: int) -> bytes:
    at = len(data) - 258 - 4
    return data[:at] + (258 + by).to_bytes(4, "big") + data[at + 4 :]


def block_files() -> list[VectorFile]:
    return [header_file(), receipt_file(), block_file()]
