"""Signatures in their one form, everything that is not in it, and seals."""

from __future__ import annotations

from typing import NamedTuple

import coincurve

from tests.model import signing
from tests.model.encoding import CURVE_ORDER, ModelRefusal, keccak, recover
from tests.model.signing import Domain, address_of, key_of, sign, sign_with_nonce, with_high_s

from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid, word

HALF = (CURVE_ORDER - 1) // 2
FIELD_PRIME = 2**256 - 2**32 - 977
R, S, V = "1 <= r < n", "1 <= s <= (n - 1) / 2", "v is 27 or 28"
LENGTH, NO_KEY = "a signature has 65 bytes", "no key can be recovered"


class Bad(NamedTuple):
    """One signature that is not in the one form."""

    name: str
    signature: bytes
    why: str


def bad_signatures(good: bytes) -> list[Bad]:
    """What can be wrong with a signature that is 65 bytes long; `good` is right."""
    r, s, v = good[:32], good[32:64], good[64:]
    mirrored = with_high_s(good)
    return [
        Bad("r 0", bytes(32) + s + v, R),
        Bad("r n", word(CURVE_ORDER) + s + v, R),
        Bad("r n + 1", word(CURVE_ORDER + 1) + s + v, R),
        Bad("r the prime of the field", word(FIELD_PRIME) + s + v, R),
        Bad("r all ones", b"\xff" * 32 + s + v, R),
        Bad("s 0", r + bytes(32) + v, S),
        Bad("s mirrored, with the v that fits", mirrored, S),
        Bad("s mirrored, with the other v", mirrored[:64] + v, S),
        Bad("s (n + 1) / 2", r + word(HALF + 1) + v, S),
        Bad("s n - 1", r + word(CURVE_ORDER - 1) + v, S),
        Bad("s n", r + word(CURVE_ORDER) + v, S),
        Bad("s all ones", r + b"\xff" * 32 + v, S),
        *(Bad(f"v {value}", r + s + bytes([value]), V) for value in (0, 1, 2, 26, 29, 30, 35, 36, 127, 128, 255)),
        Bad("v first", v + r + s, S if int.from_bytes((v + r + s)[32:64], "big") > HALF else V),
        Bad("all zeros", bytes(65), R),
        Bad("r on no point, v 27", word(5) + word(1) + b"\x1b", NO_KEY),
        Bad("r on no point, v 28", word(5) + word(1) + b"\x1c", NO_KEY),
    ]


def signature_files() -> list[VectorFile]:
    return [
        VectorFile(
            "signatures",
            "Recoverable secp256k1 signatures of 65 bytes, r || s || v, in exactly one form (section 1).",
            paragraphs(
                """
                kind recover: expected.address is whose signature of the 32-byte input.digest this is. A valid form
                over another digest gives another address and no error.

                kind sign: deterministic signing (RFC 6979 with SHA-256, no extra entropy) with a low s. Other valid
                signatures of the same digest exist and must be accepted.

                BAD_SIGNATURE: refused; why is the rule that is broken. n is the order of the curve. A DER signature
                or the compact form of EIP-2098 is not accepted either.
                """
            ),
            [*signed(), *recovered(), *refused()],
        )
    ]


def signed() -> list[Case]:
    chance = dice("sign")
    found = []
    for number in range(8):
        secret, digest = key_of(number + 1) if number < 3 else chance.randbytes(32), chance.randbytes(32)
        given = {"secret": text(secret), "digest": text(digest)}
        found.append(valid("sign", f"signature {number}", given, {"signature": text(sign(secret, digest))}))
    return found


def recovered() -> list[Case]:
    chance = dice("recover")
    cases: list[tuple[str, bytes, bytes]] = []
    for number in range(4):
        digest = chance.randbytes(32)
        cases.append((f"random signature {number}", digest, sign(chance.randbytes(32), digest)))
    digest = chance.randbytes(32)
    cases += [
        (f"key 1 with the ECDSA nonce {nonce}", digest, sign_with_nonce(key_of(1), digest, nonce))
        for nonce in (1, 2, 777)
    ]
    r = sign(key_of(1), digest)[:32]
    for name, s in (("1", 1), ("(n - 1) / 2", HALF)):
        cases += [(f"s {name}, v {v}", digest, r + word(s) + bytes([v])) for v in (27, 28)]
    good = sign(key_of(1), digest)
    cases.append(("digest of zeros", bytes(32), sign(key_of(1), bytes(32))))
    cases.append(("digest above n", b"\xff" * 32, sign(key_of(1), b"\xff" * 32)))
    cases.append(("another digest: another address", keccak(digest), good))
    cases.append(("another v: another address", digest, good[:64] + bytes([55 - good[64]])))
    return [
        valid(
            "recover",
            name,
            {"digest": text(given), "signature": text(signature)},
            {"address": text(recover(given, signature))},
        )
        for name, given, signature in cases
    ]


def refused() -> list[Case]:
    digest = keccak(b"a digest")
    good = sign(key_of(1), digest)
    lengths = [0, 1, 32, 63, 64, 66, 72, 96, 130]
    bad = [Bad(f"{length} bytes", (good * 2)[:length], LENGTH) for length in lengths]
    bad += bad_signatures(good)
    found = []
    for name, signature, why in bad:
        if len(signature) == 65:
            expect_refusal(digest, signature)
        given = {"digest": text(digest), "signature": text(signature)}
        found.append(invalid("recover", name, given, "BAD_SIGNATURE", why))
    return [*found, at_infinity()]


def expect_refusal(digest: bytes, signature: bytes) -> None:
    """The model refuses it, too."""
    try:
        recover(digest, signature)
    except ModelRefusal:
        return
    raise AssertionError(f"the model accepts {signature.hex()}")


def at_infinity() -> Case:
    """s * R = digest * G, so that the recovered key would be the point at infinity."""
    nonce, s = 7, 5
    digest = word(s * nonce % CURVE_ORDER)
    point = coincurve.PrivateKey(word(nonce)).public_key.format()
    signature = point[1:33] + word(s) + bytes([27 + point[0] % 2])
    expect_refusal(digest, signature)
    given = {"digest": text(digest), "signature": text(signature)}
    return invalid("recover", "key at infinity", given, "BAD_SIGNATURE", NO_KEY)


def seal_files() -> list[VectorFile]:
    chance = dice("seals")
    found = []
    authority, other = key_of(6), key_of(7)
    for chain_id in (1, 20487, 4503599627370476):
        domain, block_hash = Domain(chain_id, chance.randbytes(32)), chance.randbytes(32)
        found += seal_cases(domain, block_hash, authority, other)
    return [
        VectorFile(
            "seals",
            "Seals: the authority's EIP-712 signature of Seal(blockHash) in its chain's domain (section 6).",
            paragraphs(
                """
                kind seal: input has the domain (chainId and salt, the genesis hash), the block's hash, the 20 bytes
                of the authority, and the seal (null where there is none). expected.digest is what was signed.

                WRONG_SEAL: the seal is not the authority's on this block of this chain.
                """
            ),
            found,
        )
    ]


def seal_cases(domain: Domain, block_hash: bytes, authority: bytes, other: bytes) -> list[Case]:
    seal = signing.sign_seal(authority, domain, block_hash)
    given = {
        "chainId": hex(domain.chain_id),
        "salt": text(domain.genesis_hash),
        "blockHash": text(block_hash),
        "authority": text(address_of(authority)),
    }
    digest = keccak(b"\x19\x01" + domain.separator + keccak(keccak(b"Seal(bytes32 blockHash)") + block_hash))
    again = sign_with_nonce(authority, digest, 99)
    name = f"chain {domain.chain_id}: "
    found = [
        valid("seal", name + "the seal", {**given, "seal": text(seal)}, {"digest": text(digest)}),
        valid("seal", name + "another seal", {**given, "seal": text(again)}, {"digest": text(digest)}),
    ]
    foreign = signing.sign_seal(authority, Domain(domain.chain_id % 99 + 1, domain.genesis_hash), block_hash)
    elsewhere = signing.sign_seal(authority, Domain(domain.chain_id, keccak(domain.genesis_hash)), block_hash)
    bad = [
        Bad("sealed by another key", signing.sign_seal(other, domain, block_hash), "not the authority's"),
        Bad("of another block", signing.sign_seal(authority, domain, keccak(block_hash)), "not the authority's"),
        Bad("of a chain with another id", foreign, "not the authority's"),
        Bad("of a chain with another genesis", elsewhere, "not the authority's"),
        Bad("over the block hash alone", sign(authority, block_hash), "not the authority's"),
        Bad("with the other v", seal[:64] + bytes([55 - seal[64]]), "not the authority's"),
        Bad("v 0 or 1", seal[:64] + bytes([seal[64] - 27]), V),
        Bad("mirrored s", with_high_s(seal), S),
        Bad("all zeros", bytes(65), R),
        Bad("empty", b"", LENGTH),
        Bad("64 bytes", seal[:64], LENGTH),
        Bad("66 bytes", seal + b"\x00", LENGTH),
    ]
    found += [
        invalid("seal", name + what, {**given, "seal": text(signature)}, "WRONG_SEAL", why)
        for what, signature, why in bad
    ]
    found.append(invalid("seal", name + "none", {**given, "seal": None}, "WRONG_SEAL", "the block has no seal"))
    return found
