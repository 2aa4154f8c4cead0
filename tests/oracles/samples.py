"""Random messages of the five signed types, what this node makes of them, and a pool's life for a foreign wallet."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from consensus.seal import make_seal
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.signature import CURVE_ORDER, SigningKey
from crypto.words import encode_uint
from ledger.header import seal_struct_hash
from poolchain.signing import payment_digest, sign_payment, sign_settlement, sign_transaction
from tests.model.signing import key_of
from tests.wallets import MEMBERS, PRIMARY, document, draw_chain_id, draw_message
from txtypes.table import KINDS_BY_NAME, decode
from txtypes.wire import encode_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.workbench import Workbench

    Sign = Callable[[bytes, dict[str, Any]], bytes]
    """(secret, typed data) -> 65 bytes."""

LONG_PHRASE = (
    "beyond stage sleep clip because twist token leaf atom beauty genius food business side grid unable middle armed "
    "observe pair crouch tonight away coconut"
)
PHRASES = (
    LONG_PHRASE,
    "test test test test test test test test test test test junk",
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
    "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
)
PAYER, PAYEE = key_of(1), key_of(3)


class Sample(NamedTuple):
    """One message in one domain, and who signs it."""

    primary: str
    chain_id: int
    salt: bytes
    message: dict[str, Any]
    secret: bytes

    @property
    def document(self) -> dict[str, Any]:
        return document(self.primary, self.chain_id, self.salt, self.message)

    @property
    def flat(self) -> dict[str, Any]:
        """The fields as they stand on the wire; the other signature's fields are made up."""
        return {**self.message.get("payment", {}), "fee": 0, **self.message}

    def ours(self) -> tuple[bytes, bytes]:
        """This node's digest and signature."""
        domain, key = Domain.of(self.chain_id, self.salt), SigningKey(self.secret)
        if self.primary == "Seal":
            block_hash = self.message["blockHash"]
            return domain.digest(seal_struct_hash(block_hash)), make_seal(key, block_hash, domain)
        if self.primary == "ServicePayment":
            return payment_digest(self.message, domain), sign_payment(self.message, key, domain)
        if self.primary == "Settlement":
            raw = sign_settlement(self.flat, bytes(65), key, domain)
        else:
            raw = sign_transaction(self.primary, self.message, key, domain)
        kind = KINDS_BY_NAME["ServicePayment" if self.primary == "Settlement" else self.primary]
        return kind.digests(raw, domain)[-1], raw[-65:]


def draw_samples(seed: str, each: int) -> list[Sample]:
    """As many of each type."""
    chance = random.Random(seed)
    found = []
    for primary in PRIMARY:
        for _ in range(each):
            secret = chance.choice((key_of(1), key_of(CURVE_ORDER - 1), *(chance.randbytes(32) for _ in range(6))))
            salt = chance.choice((bytes(32), b"\xff" * 32, *(chance.randbytes(32) for _ in range(6))))
            found.append(Sample(primary, draw_chain_id(chance), salt, draw_message(chance, primary), secret))
    return found


TRANSFER = {"amount": 1000, "fee": 10, "nonce": 0}
POOL = {"resourceId": b"\x77" * 32, "deposit": 1000, "collateral": 1500, "duration": 10, "fee": 10, "nonce": 1}
PAYMENTS = ({"amount": 600, "tgtSeq": 1}, {"amount": 2**128 - 1, "tgtSeq": 2})
FEE = 10


def live(bench: Workbench, sign: Sign) -> list[bytes]:
    """A pool's life on this chain: Transfer, CreatePool, a settlement, one that signs too much.

    Every signature is the wallet's as it is; raw bytes are put together here from a type byte and ABI words.
    """

    def signed(secret: bytes, primary: str, message: dict[str, Any]) -> bytes:
        signature = sign(secret, document(primary, bench.genesis.chain_id, bench.genesis_hash, message))
        assert signature[64] in {27, 28}
        return signature

    payee = SigningKey(PAYEE).address
    transfer = {"to": payee, **TRANSFER}
    raws = [
        b"\x01" + words("Transfer", transfer) + signed(PAYER, "Transfer", transfer),
        b"\x02" + words("CreatePool", POOL) + signed(PAYER, "CreatePool", POOL),
    ]
    for amounts in PAYMENTS:
        payment = {"target": payee, "cptxHash": keccak256(raws[1]), **amounts}
        promised = signed(PAYER, "ServicePayment", payment)
        published = signed(PAYEE, "Settlement", {"payment": payment, "fee": FEE})
        raws.append(b"\x03" + words("ServicePayment", payment) + promised + encode_uint(FEE) + published)
    return raws


def words(primary: str, message: dict[str, Any]) -> bytes:
    return b"".join(encode_word(message[name], kind) for name, kind in MEMBERS[primary])


def accept_life(bench: Workbench, raws: list[bytes]) -> None:
    """The ledger accepts every transaction as it was sent, and finds the right senders."""
    outcomes = [bench.accept(raw).outcome.name for raw in raws]
    assert outcomes == ["TRANSFERRED", "CREATED", "SETTLED", "SLASHED"]
    payer, payee = SigningKey(PAYER).address, SigningKey(PAYEE).address
    signers = [decode(raw, bench.domain).signers for raw in raws]
    assert signers == [(payer,), (payer,), (payer, payee), (payer, payee)]
    assert bench.balance(payee) == 1000 + 600 - 10 + 400 + 110 - 10
