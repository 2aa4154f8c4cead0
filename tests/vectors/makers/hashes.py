"""Hashes, keys and addresses."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import cache

import coincurve

from tests.model.encoding import CURVE_ORDER, keccak
from tests.model.signing import address_of, key_of

from .form import VectorFile, counting, dice, invalid, paragraphs, text, valid

LENGTHS = (0, 1, 31, 32, 55, 64, 65, 135, 136, 137, 194, 258, 291, 320, 1000)
HASHES: dict[str, Callable[[bytes], bytes]] = {
    "keccak256": keccak,
    "sha256": lambda data: hashlib.sha256(data).digest(),
}
MNEMONIC = "test test test test test test test test test test test junk"
OTHER_MNEMONIC = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
HARDENED = 1 << 31
# The addresses of EIP-55's own text: two all upper, two all lower, four mixed.
EIP55 = (
    "52908400098527886E0F7030069857D2E4169EE7",
    "8617E340B3D01FA5F11F306F4090FD50E238070D",
    "de709f2102306220921060314715629080e2fb77",
    "27b1fdb04752bbc536007a920d24acb045561c26",
    "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "dbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "D1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


def checksum(address: bytes) -> str:
    """EIP-55: a letter is upper case where the nibble of the Keccak-256 of the lower-case text is 8 or more."""
    digits = address.hex()
    nibbles = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(n, 16) >= 8 else d for d, n in zip(digits, nibbles, strict=False))


def hashes() -> VectorFile:
    cases = []
    for name, function in HASHES.items():
        for length in LENGTHS:
            message = counting(length)
            given = {"hash": name, "message": text(message)}
            cases.append(valid("digest", f"{name} of {length} bytes", given, {"digest": text(function(message))}))
            for other, digest, why in mistaken(name, message):
                named = f"{name} of {length} bytes is not {other}"
                cases.append(invalid("digest", named, {**given, "digest": text(digest)}, "WRONG_HASH", why))
    return VectorFile(
        "hashes",
        "The two hash functions: Keccak-256 for identities, SHA-256 for Merkle trees (section 1).",
        paragraphs(
            """
            kind digest: input.hash is keccak256 or sha256; expected.digest is the hash of the bytes input.message.

            WRONG_HASH: input.digest is what a common mistake makes of the message; your function must not.

            The message of n bytes is 0, 1, 2 ... 250, 0, 1 ...
            """
        ),
        cases,
    )


def mistaken(name: str, message: bytes) -> list[tuple[str, bytes, str]]:
    if name == "keccak256":
        return [("sha3", hashlib.sha3_256(message).digest(), "this is NIST's SHA3-256, which pads differently")]
    return [("twice", hashlib.sha256(hashlib.sha256(message).digest()).digest(), "this is SHA-256 of SHA-256")]


def keys() -> VectorFile:
    chance = dice("keys")
    secrets = [*map(key_of, (1, 2, 3, 255, CURVE_ORDER - 1)), *(chance.randbytes(32) for _ in range(3))]
    cases = []
    for secret in secrets:
        public = coincurve.PrivateKey(secret).public_key.format(compressed=False)[1:]
        expected = {"publicKey": text(public), "address": checksum(address_of(secret))}
        cases.append(valid("key", f"key {secret.hex()[:4]}..{secret.hex()[-4:]}", {"secret": text(secret)}, expected))
    for phrase, count in ((MNEMONIC, 11), (OTHER_MNEMONIC, 2)):
        for index in range(count):
            secret = derive(phrase, index)
            given = {"mnemonic": phrase, "path": f"m/44'/60'/0'/0/{index}"}
            expected = {"secret": text(secret), "address": checksum(address_of(secret))}
            cases.append(valid("mnemonic", f"account {index} of '{phrase[:4]} ...'", given, expected))
    for name, secret, why in bad_secrets():
        cases.append(invalid("key", name, {"secret": text(secret)}, "INVALID_KEY", why))
    return VectorFile(
        "keys",
        "Private keys, their public keys and addresses; the devnet's accounts (sections 1 and 6).",
        paragraphs(
            """
            kind key: publicKey is the uncompressed key, x || y, without the byte 04; the address is the last 20
            bytes of its Keccak-256, shown with the checksum of EIP-55.

            kind mnemonic: BIP-39 without a passphrase, then BIP-32 along path. Of the phrase 'test ... junk', 0 to
            9 are the devnet's accounts and 10 is its authority.

            INVALID_KEY: input.secret is no private key.
            """
        ),
        cases,
    )


def bad_secrets() -> list[tuple[str, bytes, str]]:
    length, value = "a secret has 32 bytes", "a secret is from 1 to n - 1"
    return [
        ("no bytes", b"", length),
        ("31 bytes", bytes(30) + b"\x01", length),
        ("33 bytes with a zero in front", bytes(32) + b"\x01", length),
        ("64 bytes", counting(64), length),
        ("zero", bytes(32), value),
        ("n", CURVE_ORDER.to_bytes(32, "big"), value),
        ("n + 1", (CURVE_ORDER + 1).to_bytes(32, "big"), value),
        ("2^256 - 1", b"\xff" * 32, value),
    ]


@cache
def derive(phrase: str, index: int) -> bytes:
    """BIP-39's seed of an ASCII phrase, then BIP-32 along m/44'/60'/0'/0/index."""
    seed = hashlib.pbkdf2_hmac("sha512", phrase.encode("ascii"), b"mnemonic", 2048)
    node = hmac.digest(b"Bitcoin seed", seed, "sha512")
    for number in (44 | HARDENED, 60 | HARDENED, HARDENED, 0, index):
        secret, chain_code = node[:32], node[32:]
        public = coincurve.PrivateKey(secret).public_key.format()
        data = (b"\x00" + secret if number & HARDENED else public) + number.to_bytes(4, "big")
        digest = hmac.digest(chain_code, data, "sha512")
        child = (int.from_bytes(digest[:32], "big") + int.from_bytes(secret, "big")) % CURVE_ORDER
        node = child.to_bytes(32, "big") + digest[32:]
    return node[:32]


def addresses() -> VectorFile:
    chance = dice("addresses")
    known = [bytes.fromhex(digits) for digits in EIP55]
    assert [checksum(address)[2:] for address in known] == list(EIP55)
    cases = []
    for address in [*known, bytes(20), b"\xff" * 20, *(chance.randbytes(20) for _ in range(4))]:
        shown = checksum(address)
        cases.append(valid("show", f"show {shown}", {"address": text(address)}, {"text": shown}))
        forms = dict.fromkeys((shown, shown.lower()))
        cases += [valid("parse", f"parse {form}", {"text": form}, {"address": text(address)}) for form in forms]
    cases += [invalid("parse", name, {"text": given}, "INVALID_ADDRESS", why) for name, given, why in bad_texts()]
    return VectorFile(
        "addresses",
        "Addresses as text: shown with the checksum of EIP-55, accepted in lower case or with the right checksum.",
        paragraphs(
            """
            kind show: input.address is 20 bytes, expected.text what people and programs are shown.

            kind parse: input.text is what somebody typed or sent, expected.address the 20 bytes.

            INVALID_ADDRESS: the text is not accepted. All upper case is a checksum like any other: accepted only
            where it is the right one.
            """
        ),
        cases,
    )


def bad_texts() -> list[tuple[str, str, str]]:
    good = "0x" + EIP55[4]
    digits, case = "an address is 0x and 40 hexadecimal digits", "the checksum is wrong"
    swapped = good[:-1] + good[-1].swapcase()
    return [
        ("all upper case", "0x" + good[2:].upper(), case),
        ("one letter in the wrong case", swapped, case),
        ("first letter in the wrong case", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", case),
        ("every letter in the wrong case", "0x" + good[2:].swapcase(), case),
        ("one digit of a checksummed address changed", good[:-2] + "1" + good[-1], case),
        ("all upper case where the checksum is all lower", "0x" + EIP55[2].upper(), case),
        ("nothing", "", digits),
        ("only the prefix", "0x", digits),
        ("without prefix", good[2:], digits),
        ("prefix in upper case", "0X" + good[2:], digits),
        ("39 digits", good[:-1], digits),
        ("41 digits", good + "0", digits),
        ("the word of the address", "0x" + "00" * 12 + EIP55[2], digits),
        ("letter that is no digit", good[:-1] + "g", digits),
        ("space in front", " " + good, digits),
        ("line feed at the end", good + "\n", digits),
        ("space inside", good[:20] + " " + good[21:], digits),
        ("separator inside", good[:20] + "_" + good[21:], digits),
        ("minus sign", "-" + good, digits),
        ("full-width digits", "0x" + "\uff11" * 40, digits),
        ("Arabic-Indic digit", "0x\u0661" + EIP55[2][1:], digits),
        ("ICAP form", "XE7338O073KYGTWWZN0F2WZ0R8PX5ZPPZS", digits),
        ("name", "alice.eth", digits),
        ("zero byte at the end", good + "\x00", digits),
    ]


def hashing_files() -> list[VectorFile]:
    return [hashes(), keys(), addresses()]
