"""Seeded random transactions, made to sit on the boundaries of the rules as the model sees them.

About two in five are invalid: each draw takes the right value most of the time and a near miss otherwise. Signing
keys are made once and digests come from the model, so that a transaction costs little more than its signatures.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coincurve import PrivateKey

from tests.model.encoding import (
    CREATE_POOL_TYPE,
    CURVE_ORDER,
    PAYMENT_TYPE,
    TRANSFER_TYPE,
    keccak,
    settlement_digest,
    signing_digest,
)
from tests.model.signing import address_of, key_of, with_high_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.model.reference import Model, Pool

AMOUNT_MAX = 2**128 - 1
UINT64_MAX = 2**64 - 1
SIGNATURE_STARTS = {194: (129,), 258: (193,), 291: (129, 226)}
WORD_STARTS = {194: (1, 33, 65, 97), 258: (33, 65, 97, 129, 161), 291: (1, 33, 97, 194)}
"""Words with a range, by the length of the transaction."""


@dataclass(frozen=True)
class Profile:
    """What kind of life a chain has."""

    name: str
    genesis: dict[str, str]
    funds: int
    """Allocation of every user; the authority and the last user begin with nothing."""
    deposit_max: int
    mistakes: float
    """How often a single value is a near miss."""
    over_signing: float
    """How often a payment asks for more than remains."""
    kinds: tuple[int, int, int] = (3, 2, 6)
    """Weights of Transfer, CreatePool and ServicePayment."""


class Traffic:
    """Draws one transaction after the other for the model's present state."""

    def __init__(self, profile: Profile, users: int, chance: random.Random) -> None:
        self.profile = profile
        self.chance = chance
        self.secrets = [key_of(1000 + number) for number in range(users + 1)]
        self.keys = {address_of(secret): PrivateKey(secret) for secret in self.secrets}
        self.addresses = list(self.keys)
        self.authority = self.addresses[0]
        self.separator = bytes(32)
        self.sent: list[bytes] = []

    def alloc(self) -> dict[str, str]:
        """Genesis allocations: all users but the last one."""
        return {"0x" + address.hex(): hex(self.profile.funds) for address in self.addresses[1:-1]}

    def draw(self, model: Model) -> bytes:
        """One raw transaction, valid or not."""
        roll = self.chance.random()
        if roll < 0.03 and self.sent:
            return self.chance.choice(self.sent[-200:])
        kind = self.chance.choices((self.transfer, self.create, self.payment), self.profile.kinds)[0]
        raw = kind(model)
        if roll > 0.93:
            raw = self.damage(raw)
        self.sent.append(raw)
        return raw

    # Values

    def near(self, right: int, *others: int) -> int:
        """The right number mostly, else one of the others or a neighbour; never out of 128 bits."""
        if self.chance.random() >= self.profile.mistakes:
            return right
        return min(max(self.chance.choice((right - 1, right + 1, *others)), 0), AMOUNT_MAX)

    def some_fee(self, model: Model) -> int:
        if self.chance.random() < 0.15:
            return self.chance.randrange(model.min_fee, 3 * model.min_fee + 20)
        return self.near(model.min_fee, 0, model.min_fee + 1, model.min_fee + 7)

    def some_nonce(self, model: Model, sender: bytes) -> int:
        return min(self.near(model.nonce(sender), 0, UINT64_MAX), UINT64_MAX)

    def sign(self, address: bytes, digest: bytes) -> bytes:
        signature = self.keys[address].sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])

    # Transactions

    def transfer(self, model: Model) -> bytes:
        sender = self.chance.choice(self.addresses)
        to = self.chance.choice((*self.addresses, sender, bytes(20), self.chance.randbytes(20)))
        fee, balance = self.some_fee(model), model.balance(sender)
        spare = max(balance - fee, 0)
        small = self.chance.randrange(1, max(min(spare // 8, self.profile.deposit_max), 2))
        amount = self.near(small, 0, spare, spare + 1, AMOUNT_MAX)
        words = bytes(12) + to + words_of(amount, fee, self.some_nonce(model, sender))
        return b"\x01" + words + self.sign(sender, signing_digest(self.separator, TRANSFER_TYPE, words))

    def create(self, model: Model) -> bytes:
        creator = self.chance.choice(self.addresses)
        fee, balance = self.some_fee(model), model.balance(creator)
        fits = max(min(self.profile.deposit_max, balance // 12), 1)
        deposit = self.near(self.chance.randint(1, fits), 0, 1, 2)
        cap = deposit + 1 + model.reward
        collateral = self.near(
            self.chance.choice(
                (deposit + 1, cap + model.min_fee, cap + self.chance.randrange(-2, 30), 3 * deposit + 7)
            ),
            deposit,
            deposit - 1,
            balance - fee - deposit,
            balance - fee - deposit + 1,
        )
        collateral = min(max(collateral, 0), AMOUNT_MAX)
        longest = min(model.max_duration, model.min_duration + 12)
        duration = self.near(
            self.chance.randint(model.min_duration, longest),
            model.min_duration - 1,
            model.max_duration,
            model.max_duration + 1,
            0,
            UINT64_MAX,
        )
        nonce = self.some_nonce(model, creator)
        resource = self.chance.choice((bytes(32), b"\x01" * 32, self.chance.randbytes(32)))
        words = resource + words_of(deposit, collateral, min(duration, UINT64_MAX), fee, nonce)
        return b"\x02" + words + self.sign(creator, signing_digest(self.separator, CREATE_POOL_TYPE, words))

    def payment(self, model: Model) -> bytes:
        pool_id, pool = self.some_pool(model)
        creator = pool["creator"] if pool is not None else self.addresses[0]
        target = self.chance.choice(self.addresses)
        if target == creator and self.chance.random() < 0.85:
            target = self.addresses[self.addresses.index(creator) - 1]
        seq, paid = model.targets.get((pool_id, target), (0, 0))
        remaining = pool["deposit"] - pool["spent"] if pool is not None else 50
        amount = self.some_amount(paid, remaining, model.min_fee)
        words = (
            bytes(12) + target + words_of(amount) + pool_id + words_of(min(self.near(seq + 1, 0, seq + 2), UINT64_MAX))
        )
        fee = self.some_payment_fee(model, target, amount - paid, remaining)
        payer, publisher = self.some_signers(creator, target)
        by_payer = self.sign(payer, signing_digest(self.separator, PAYMENT_TYPE, words))
        by_publisher = self.sign(publisher, settlement_digest(self.separator, words, words_of(fee)))
        return b"\x03" + words + by_payer + words_of(fee) + by_publisher

    def some_pool(self, model: Model) -> tuple[bytes, Pool | None]:
        if not model.pools or self.chance.random() < 0.02:
            return self.chance.randbytes(32), None
        recent = list(model.pools)[-60:]
        if self.chance.random() < 0.9:
            recent = [name for name in recent if is_live(model, name)] or recent
        name = self.chance.choice(recent)
        return name, model.pools[name]

    def some_amount(self, paid: int, remaining: int, min_fee: int) -> int:
        if self.chance.random() < self.profile.over_signing:
            return min(paid + remaining + self.chance.choice((1, 2, 1000, AMOUNT_MAX)), AMOUNT_MAX)
        part = max(remaining // self.chance.choice((1, 2, 5, 9)), min(remaining, min_fee))
        due = self.near(max(part, 1), 0, 1, remaining, remaining + 1, min_fee, -paid, -1)
        return min(paid + due, AMOUNT_MAX)

    def some_payment_fee(self, model: Model, target: bytes, due: int, remaining: int) -> int:
        roll = self.chance.random()
        if roll < 0.05:
            return min(max(model.balance(target) + due + self.chance.randrange(-1, 2), 0), AMOUNT_MAX)
        if roll < 0.1:
            return min(max(remaining + model.reward + self.chance.randrange(-2, 200), 0), AMOUNT_MAX)
        return self.some_fee(model)

    def some_signers(self, creator: bytes, target: bytes) -> tuple[bytes, bytes]:
        creator = creator if creator in self.keys else self.addresses[0]
        if self.chance.random() >= self.profile.mistakes:
            return creator, target
        other = self.chance.choice(self.addresses)
        return self.chance.choice(((other, target), (creator, other), (target, creator), (other, other)))

    # Bytes

    def damage(self, raw: bytes) -> bytes:
        """The same bytes with one thing wrong, mostly in a way that is refused."""
        ways: tuple[Callable[[bytes], bytes], ...] = (
            self.cut,
            self.lengthen,
            self.flip,
            self.another_type,
            self.wide_word,
            self.odd_signature,
            self.odd_signature,
        )
        return self.chance.choice(ways)(raw)

    def cut(self, raw: bytes) -> bytes:
        return raw[: self.chance.choice((0, 1, len(raw) - 1, self.chance.randrange(len(raw))))]

    def lengthen(self, raw: bytes) -> bytes:
        return raw + self.chance.choice((b"\x00", bytes(32), bytes(65), raw))

    def flip(self, raw: bytes) -> bytes:
        at = self.chance.randrange(len(raw))
        return raw[:at] + bytes([raw[at] ^ 1 << self.chance.randrange(8)]) + raw[at + 1 :]

    def another_type(self, raw: bytes) -> bytes:
        return bytes([self.chance.choice((0, 1, 2, 3, 4, 255))]) + raw[1:]

    def wide_word(self, raw: bytes) -> bytes:
        at = self.chance.choice(WORD_STARTS[len(raw)])
        return raw[:at] + self.chance.choice((b"\x01", b"\x80")) + raw[at + 1 :]

    def odd_signature(self, raw: bytes) -> bytes:
        at = self.chance.choice(SIGNATURE_STARTS[len(raw)])
        signature = raw[at : at + 65]
        odd = self.chance.choice(
            (
                with_high_s(signature),
                signature[:64] + bytes([self.chance.choice((0, 1, 26, 29, 255))]),
                signature[:64] + bytes([55 - signature[64]]),
                bytes(32) + signature[32:],
                signature[:32] + bytes(32) + signature[64:],
                CURVE_ORDER.to_bytes(32, "big") + signature[32:],
                signature[:32] + ((CURVE_ORDER + 1) // 2).to_bytes(32, "big") + signature[64:],
                (5).to_bytes(32, "big") + signature[32:],
                bytes(65),
            )
        )
        return raw[:at] + odd + raw[at + 65 :]


def is_live(model: Model, name: bytes) -> bool:
    """Whether a pool can still pay."""
    pool = model.pools[name]
    return pool["status"] == "open" and pool["expiresAt"] > model.height


def words_of(*numbers: int) -> bytes:
    """These numbers as words."""
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def hash_of(raw: bytes) -> bytes:
    """The hash of a transaction."""
    return keccak(raw)
