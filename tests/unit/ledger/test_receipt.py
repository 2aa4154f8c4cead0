"""Receipts: seven words, one encoding, the model's bytes."""

from __future__ import annotations

import pytest

from crypto.words import WordOutOfRange
from ledger.receipt import RECEIPT_BYTES, Outcome, Receipt
from tests.model.encoding import encode_receipt

LARGEST = 2**128 - 1
SLASHED = Receipt(b"\xaa" * 32, Outcome.SLASHED, 10, b"\xbb" * 32, paid=1000, burned=1390, reward=110)
SAMPLES = (
    Receipt(b"\x01" * 32, Outcome.TRANSFERRED, 10),
    Receipt(b"\x02" * 32, Outcome.CREATED, 11, b"\x02" * 32),
    Receipt(b"\x03" * 32, Outcome.SETTLED, LARGEST, b"\x04" * 32, paid=LARGEST),
    SLASHED,
    Receipt(b"\xff" * 32, Outcome.SLASHED, LARGEST, b"\xff" * 32, LARGEST, LARGEST, LARGEST),
)


def test_seven_words_written_out() -> None:
    expected = "aa" * 32 + f"{3:064x}{10:064x}" + "bb" * 32 + f"{1000:064x}{1390:064x}{110:064x}"
    assert SLASHED.encode().hex() == expected
    assert RECEIPT_BYTES == 224


@pytest.mark.parametrize("receipt", SAMPLES, ids=lambda receipt: receipt.outcome.name)
def test_round_trip(receipt: Receipt) -> None:
    assert len(receipt.encode()) == RECEIPT_BYTES
    assert Receipt.decode(receipt.encode()) == receipt
    assert Receipt.decode(receipt.encode()).outcome is receipt.outcome


@pytest.mark.parametrize("receipt", SAMPLES, ids=lambda receipt: receipt.outcome.name)
def test_bytes_are_the_models(receipt: Receipt) -> None:
    assert receipt.encode() == encode_receipt(
        {
            "transactionHash": receipt.transaction_hash,
            "outcome": int(receipt.outcome),
            "fee": receipt.fee,
            "cptxHash": receipt.cptx_hash,
            "paid": receipt.paid,
            "burned": receipt.burned,
            "reward": receipt.reward,
        }
    )


def test_outcomes_are_numbered_as_in_the_protocol() -> None:
    assert [(outcome.name, int(outcome)) for outcome in Outcome] == [
        ("TRANSFERRED", 0),
        ("CREATED", 1),
        ("SETTLED", 2),
        ("SLASHED", 3),
    ]


@pytest.mark.parametrize("length", [0, 32, 223, 225, 448])
def test_length_is_exact(length: int) -> None:
    with pytest.raises(ValueError, match=f"expected 224 bytes, given {length}"):
        Receipt.decode((SLASHED.encode() * 2)[:length])


@pytest.mark.parametrize("word", [2, 4, 5, 6])
def test_amounts_are_below_2_to_the_128(word: int) -> None:
    data = bytearray(SLASHED.encode())
    data[32 * word + 15] = 1
    with pytest.raises(WordOutOfRange):
        Receipt.decode(bytes(data))


@pytest.mark.parametrize("outcome", [4, 255, 256, 2**128, 2**255])
def test_outcome_is_one_of_four(outcome: int) -> None:
    data = SLASHED.encode()
    with pytest.raises(ValueError, match=r"Outcome|0x"):
        Receipt.decode(data[:32] + outcome.to_bytes(32, "big") + data[64:])
