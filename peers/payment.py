"""One off-chain payment: what a pool's creator signs for one target (paper, step 3, equations 2 and 3).

On the wire it is 193 bytes: the four words of ServicePayment and the creator's signature.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from crypto.eip712 import Domain, struct_hash
from crypto.signature import SIGNATURE_BYTES, InvalidSignature, SigningKey, recover
from crypto.words import (
    AMOUNT_LIMIT,
    UINT64_LIMIT,
    WordOutOfRange,
    decode_address,
    decode_uint,
    encode_address,
    encode_uint,
)
from txtypes.service_payment import PAYMENT

WORDS_BYTES: Final = 128
PAYMENT_BYTES: Final = WORDS_BYTES + SIGNATURE_BYTES
_TYPE_HASH: Final = PAYMENT.type_hash()


class BadPayment(Exception):
    """Bytes are not a payment, or its signature gives no key; the argument says why."""


class Promise(NamedTuple):
    """What is promised: a total to one target over the life of a pool, in base units."""

    target: bytes
    amount: int
    cptx_hash: bytes
    tgt_seq: int

    def words(self) -> bytes:
        """Return the 128 bytes that are signed."""
        return encode_address(self.target) + encode_uint(self.amount) + self.cptx_hash + encode_uint(self.tgt_seq)

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes that the creator signs."""
        return domain.digest(struct_hash(_TYPE_HASH, self.words()))


class Payment(NamedTuple):
    """A promise with the creator's signature on it."""

    promise: Promise
    signature: bytes

    @classmethod
    def sign(cls, promise: Promise, key: SigningKey, domain: Domain) -> Payment:
        """Sign a promise. Deterministic: the same promise always becomes the same payment."""
        return cls(promise, key.sign(promise.digest(domain)))

    def encode(self) -> bytes:
        """Return the 193 bytes of the wire."""
        return self.promise.words() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> Payment:
        """Return the payment of 193 bytes; raises BadPayment. The signature is not looked at."""
        if len(data) != PAYMENT_BYTES:
            raise BadPayment(f"expected {PAYMENT_BYTES} bytes, given {len(data)}")
        try:
            promise = Promise(
                decode_address(data[:32]),
                decode_uint(data[32:64], AMOUNT_LIMIT),
                data[64:96],
                decode_uint(data[96:128], UINT64_LIMIT),
            )
        except WordOutOfRange as error:
            raise BadPayment(f"a word is out of range: {error}") from error
        return cls(promise, data[WORDS_BYTES:])

    def signer(self, domain: Domain) -> bytes:
        """Return the address that signed; raises BadPayment."""
        return signer_of(self.encode(), domain)


def signer_of(payment: bytes, domain: Domain) -> bytes:
    """Return the address that signed the 193 bytes of a payment; raises BadPayment. The words are not looked at."""
    try:
        return recover(domain.digest(struct_hash(_TYPE_HASH, payment[:WORDS_BYTES])), payment[WORDS_BYTES:])
    except InvalidSignature as error:
        raise BadPayment(str(error)) from error
