"""Makes raw transactions from private keys, for tests of the model and against it.

Words are written without any check of their range, so that a test can sign what must be refused.
"""

from dataclasses import dataclass

import coincurve

from .encoding import (
    CREATE_POOL_TYPE,
    CURVE_ORDER,
    PAYMENT_TYPE,
    SEAL_TYPE,
    TRANSFER_TYPE,
    domain_separator,
    keccak,
    settlement_digest,
    signing_digest,
)


@dataclass(frozen=True)
class Domain:
    """What binds a signature to one chain."""

    chain_id: int
    genesis_hash: bytes

    @property
    def separator(self) -> bytes:
        """The EIP-712 domain separator."""
        return domain_separator(self.chain_id, self.genesis_hash)


def key_of(number: int) -> bytes:
    """Return the private key of a small number."""
    return number.to_bytes(32, "big")


def address_of(key: bytes) -> bytes:
    """Return the 20-byte address of a private key."""
    return keccak(coincurve.PrivateKey(key).public_key.format(compressed=False)[1:])[12:]


def sign(key: bytes, digest: bytes) -> bytes:
    """Sign a digest: r, s, and v as 27 or 28; s is always the lower one."""
    signature = coincurve.PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([signature[64] + 27])


def sign_with_nonce(key: bytes, digest: bytes, nonce: int) -> bytes:
    """Sign with a chosen ECDSA nonce: as many valid signatures of one content as one likes."""
    point = coincurve.PrivateKey(_word(nonce)).public_key.format(compressed=False)
    r = int.from_bytes(point[1:33], "big") % CURVE_ORDER
    secret, message = int.from_bytes(key, "big"), int.from_bytes(digest, "big")
    s = pow(nonce, -1, CURVE_ORDER) * (message + r * secret) % CURVE_ORDER
    signature = _word(r) + _word(s) + bytes([27 + point[64] % 2])
    return signature if s <= (CURVE_ORDER - 1) // 2 else with_high_s(signature)


def with_high_s(signature: bytes) -> bytes:
    """Return the other signature of the same key over the same digest: n - s and the other v."""
    s = int.from_bytes(signature[32:64], "big")
    return signature[:32] + _word(CURVE_ORDER - s) + bytes([55 - signature[64]])


def transfer(key: bytes, domain: Domain, to: bytes, amount: int, fee: int, nonce: int) -> bytes:
    """Return a raw Transfer."""
    words = _address_word(to) + _word(amount) + _word(fee) + _word(nonce)
    digest = signing_digest(domain.separator, TRANSFER_TYPE, words)
    return b"\x01" + words + sign(key, digest)


def create_pool(
    key: bytes,
    domain: Domain,
    resource_id: bytes,
    deposit: int,
    collateral: int,
    duration: int,
    fee: int,
    nonce: int,
) -> bytes:
    """Return a raw CreatePool; its Keccak-256 is the id of the pool."""
    words = resource_id + b"".join(map(_word, (deposit, collateral, duration, fee, nonce)))
    digest = signing_digest(domain.separator, CREATE_POOL_TYPE, words)
    return b"\x02" + words + sign(key, digest)


def payment_words(target: bytes, amount: int, cptx_hash: bytes, tgt_seq: int) -> bytes:
    """Return the four words of a ServicePayment."""
    return _address_word(target) + _word(amount) + cptx_hash + _word(tgt_seq)


def sign_payment(key: bytes, domain: Domain, words: bytes) -> bytes:
    """Return the creator's signature over a payment."""
    return sign(key, signing_digest(domain.separator, PAYMENT_TYPE, words))


def settle(key: bytes, domain: Domain, words: bytes, payment_signature: bytes, fee: int) -> bytes:
    """Return the raw ServicePayment by which a target publishes a payment that it holds."""
    digest = settlement_digest(domain.separator, words, _word(fee))
    return b"\x03" + words + payment_signature + _word(fee) + sign(key, digest)


def service_payment(
    creator_key: bytes,
    target_key: bytes,
    domain: Domain,
    amount: int,
    cptx_hash: bytes,
    tgt_seq: int,
    fee: int,
) -> bytes:
    """Return a raw ServicePayment signed by both sides; the target is the second key's address."""
    words = payment_words(address_of(target_key), amount, cptx_hash, tgt_seq)
    return settle(target_key, domain, words, sign_payment(creator_key, domain, words), fee)


def sign_seal(key: bytes, domain: Domain, header_hash: bytes) -> bytes:
    """Return the authority's seal of a block hash."""
    return sign(key, signing_digest(domain.separator, SEAL_TYPE, header_hash))


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address_word(value: bytes) -> bytes:
    """A word of an address; a test may give 32 bytes to have bits set outside its range."""
    return bytes(32 - len(value)) + value
