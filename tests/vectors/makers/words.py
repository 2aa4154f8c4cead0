"""Words: every type, both ends of its range, and bits outside."""

from __future__ import annotations

from tests.model.encoding import ADDRESS_LIMIT, AMOUNT_LIMIT, UINT64_LIMIT
from tests.model.small_chain import ALICE

from .form import VectorFile, counting, dice, invalid, paragraphs, text, valid, word

LIMITS = {"uint64": UINT64_LIMIT, "amount": AMOUNT_LIMIT, "address": ADDRESS_LIMIT}


def word_files() -> list[VectorFile]:
    chance = dice("words")
    cases = []
    for kind, limit in LIMITS.items():
        drawn = chance.randrange(limit)
        for name, value in (("0", 0), ("1", 1), ("256", 256), ("a random value", drawn), ("the largest", limit - 1)):
            shown = text(value.to_bytes(20, "big")) if kind == "address" else hex(value)
            cases.append(valid("word", f"{kind}: {name}", {"type": kind, "word": text(word(value))}, {"value": shown}))
        outside = "bits are set outside the range of the type"
        for name, value in too_large(limit):
            given = {"type": kind, "word": text(word(value))}
            cases.append(invalid("word", f"{kind}: {name}", given, "MALFORMED", outside))
    aligned = {"type": "address", "word": text(ALICE + bytes(12))}
    cases.append(invalid("word", "address: aligned left", aligned, "MALFORMED", "an address is the low 20 bytes"))
    for name, data in (("zero", bytes(32)), ("counting", counting(32)), ("all ones", b"\xff" * 32)):
        given = {"type": "bytes32", "word": text(data)}
        cases.append(valid("word", f"bytes32: {name}", given, {"value": text(data)}))
    return [
        VectorFile(
            "words",
            "ABI words: 32 bytes, big-endian, each value with exactly one encoding (section 1).",
            paragraphs(
                """
                kind word: input.type is uint64, amount (below 2^128), address or bytes32; input.word the 32 bytes;
                expected.value a quantity, or bytes of an address or a bytes32. Encoding the value gives the word
                back.

                MALFORMED: the word is not in the range of its type and must be refused wherever it stands.
                """
            ),
            cases,
        )
    ]


def too_large(limit: int) -> list[tuple[str, int]]:
    bits = limit.bit_length() - 1
    return [
        (f"2^{bits}", limit),
        (f"2^{bits} + 1", limit + 1),
        (f"bit {bits} set over the largest", 2 * limit - 1),
        ("top bit", 1 << 255),
        ("top bit over 1", 1 << 255 | 1),
        ("all ones", (1 << 256) - 1),
    ]
