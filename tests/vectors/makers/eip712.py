"""Type strings, domains and digests; and the digests that common mistakes lead to."""

from __future__ import annotations

import hashlib
import random
from typing import Any, NamedTuple

from tests.model import encoding
from tests.model.encoding import keccak

from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid, word

CHAIN_ID_MAX = 4503599627370476
DEVNET_ID = 20487
STRUCTS = {
    "Transfer": encoding.TRANSFER_TYPE,
    "CreatePool": encoding.CREATE_POOL_TYPE,
    "ServicePayment": encoding.PAYMENT_TYPE,
    "Settlement": encoding.SETTLEMENT_TYPE,
    "Seal": encoding.SEAL_TYPE,
}
Message = dict[str, Any]


class Signed(NamedTuple):
    """One message in one domain."""

    struct: str
    chain_id: int
    salt: bytes
    message: Message
    """Ints, bytes, and a nested message for `payment`."""

    @property
    def words(self) -> bytes:
        return encode_data(self.struct, self.message)

    @property
    def struct_hash(self) -> bytes:
        return keccak(keccak(STRUCTS[self.struct]) + self.words)

    @property
    def separator(self) -> bytes:
        return encoding.domain_separator(self.chain_id, self.salt)

    @property
    def digest(self) -> bytes:
        return keccak(b"\x19\x01" + self.separator + self.struct_hash)

    def shown(self) -> Case:
        domain = {"chainId": hex(self.chain_id), "salt": text(self.salt)}
        return {"primaryType": self.struct, "domain": domain, "message": show(self.message)}


def members(struct: str) -> list[tuple[str, str]]:
    """(type, name) of each member, from the type string."""
    inside = STRUCTS[struct].decode().split("(", 1)[1].split(")", 1)[0]
    return [(member.split(" ")[0], member.split(" ")[1]) for member in inside.split(",")]


def encode_data(struct: str, message: Message) -> bytes:
    words = []
    for kind, name in members(struct):
        value = message[name]
        if kind in STRUCTS:
            words.append(keccak(keccak(STRUCTS[kind]) + encode_data(kind, value)))
        else:
            words.append(value.rjust(32, b"\x00") if isinstance(value, bytes) else word(value))
    return b"".join(words)


def show(message: Message) -> Case:
    return {name: show_value(value) for name, value in message.items()}


def show_value(value: Any) -> Any:
    if isinstance(value, dict):
        return show(value)
    return text(value) if isinstance(value, bytes) else hex(value)


def draw(chance: random.Random, struct: str, extreme: str = "") -> Message:
    """A random message, or one of all zeros or of all ones."""
    widths = {"address": 160, "bytes32": 256, "uint256": 128, "uint64": 64}
    found: Message = {}
    for kind, name in members(struct):
        if kind in STRUCTS:
            found[name] = draw(chance, kind, extreme)
            continue
        bits = widths[kind]
        value = {"zeros": 0, "ones": (1 << bits) - 1}.get(extreme, chance.getrandbits(bits))
        found[name] = value.to_bytes(bits // 8, "big") if kind in ("address", "bytes32") else value
    return found


def eip712_files() -> list[VectorFile]:
    return [
        VectorFile(
            "eip712",
            "What is signed: type strings, type hashes, domain separators and digests of EIP-712 (section 2).",
            paragraphs(
                """
                kind type: expected.encodeType is the string whose Keccak-256 is expected.typeHash.

                kind domain: name 'Poolchain', version '1', input.chainId, input.salt (the genesis hash, which is
                the hash of block 0); expected.separator is hashStruct of EIP712Domain.

                kind digest: expected.encodeData is the words of the message without the type hash, structHash
                Keccak-256(typeHash || encodeData), digest Keccak-256(0x1901 || separator || structHash): what is
                signed. Numbers of the message are quantities here; wallets take them as decimal strings.

                WRONG_DIGEST: input.digest is what a common mistake makes of the message; your function must not.
                """
            ),
            [*types(), *domains(), *digests(), *mistakes()],
        )
    ]


def types() -> list[Case]:
    found = []
    for name, string in {"EIP712Domain": encoding.DOMAIN_TYPE, **STRUCTS}.items():
        expected = {"encodeType": string.decode(), "typeHash": text(keccak(string))}
        found.append(valid("type", f"type {name}", {"primaryType": name}, expected))
    return found


def domains() -> list[Case]:
    salt = dice("salt").randbytes(32)
    found = []
    for chain_id in (1, DEVNET_ID, 2**32, CHAIN_ID_MAX):
        for name, value in (("no salt bits", bytes(32)), ("a random salt", salt)):
            given = {"chainId": hex(chain_id), "salt": text(value)}
            expected = {"separator": text(encoding.domain_separator(chain_id, value))}
            found.append(valid("domain", f"domain of chain {chain_id} with {name}", given, expected))
    return found


def digests() -> list[Case]:
    found = []
    for struct in STRUCTS:
        chance = dice(f"digest {struct}")
        for name, chain_id, extreme in (
            ("zeros", 1, "zeros"),
            ("the largest values", CHAIN_ID_MAX, "ones"),
            ("random values on the devnet's id", DEVNET_ID, ""),
            ("random values", chance.randrange(1, CHAIN_ID_MAX), ""),
        ):
            signed = Signed(struct, chain_id, chance.randbytes(32), draw(chance, struct, extreme))
            expected = {
                "encodeData": text(signed.words),
                "structHash": text(signed.struct_hash),
                "digest": text(signed.digest),
            }
            found.append(valid("digest", f"{struct} of {name}", signed.shown(), expected))
    return found


def mistakes() -> list[Case]:
    found = []
    for struct in STRUCTS:
        chance = dice(f"mistake {struct}")
        signed = Signed(struct, DEVNET_ID, chance.randbytes(32), draw(chance, struct))
        for name, digest, why in [*wrong_digests(signed), *wrong_structs(signed)]:
            assert digest != signed.digest
            given = {**signed.shown(), "digest": text(digest)}
            found.append(invalid("digest", f"{struct}: {name}", given, "WRONG_DIGEST", why))
    return found


def wrong_digests(signed: Signed) -> list[tuple[str, bytes, str]]:
    """Mistakes around the struct: the domain, the prefix, the hash function."""
    tail = signed.struct_hash
    parts = {
        "string name": keccak(b"Poolchain"),
        "string version": keccak(b"1"),
        "uint256 chainId": word(signed.chain_id),
        "bytes32 salt": signed.salt,
    }

    def within(domain: dict[str, bytes]) -> bytes:
        separator = keccak(keccak(b"EIP712Domain(" + ",".join(domain).encode() + b")") + b"".join(domain.values()))
        return keccak(b"\x19\x01" + separator + tail)

    without_salt = {name: value for name, value in parts.items() if name != "bytes32 salt"}
    order = ("string name", "string version", "bytes32 salt", "uint256 chainId")
    contract = {**without_salt, "address verifyingContract": signed.salt[12:].rjust(32, b"\x00")}
    return [
        ("domain without salt", within(without_salt), "the domain has four members, the last is the salt"),
        ("domain with a contract", within(contract), "the domain has a salt and no verifyingContract"),
        ("salt before chainId", within({name: parts[name] for name in order}), "the members of a domain have an order"),
        (
            "another name",
            within({**parts, "string name": keccak(b"poolchain")}),
            "the name is Poolchain with a capital letter",
        ),
        ("another version", within({**parts, "string version": keccak(b"1.0")}), "the version is the string 1"),
        (
            "another chain id",
            within({**parts, "uint256 chainId": word(signed.chain_id + 1)}),
            "the chain id is another",
        ),
        ("another genesis", within({**parts, "bytes32 salt": bytes(32)}), "the salt is another"),
        ("without the prefix", keccak(signed.separator + tail), "0x1901 stands in front of the separator"),
        ("struct hash alone", tail, "the domain is missing"),
        (
            "personal message",
            keccak(b"\x19Ethereum Signed Message:\n32" + signed.digest),
            "this is personal_sign over the digest",
        ),
        (
            "SHA3-256",
            hashlib.sha3_256(b"\x19\x01" + signed.separator + tail).digest(),
            "the hash is Keccak-256, not NIST's SHA3-256",
        ),
    ]


def wrong_structs(signed: Signed) -> list[tuple[str, bytes, str]]:
    """Mistakes inside the struct: its type string and its words."""
    string, words = STRUCTS[signed.struct], signed.words

    def of(type_string: bytes, data: bytes) -> bytes:
        return keccak(b"\x19\x01" + signed.separator + keccak(keccak(type_string) + data))

    found = [
        ("space in the type string", of(string.replace(b",", b", ").replace(b"(", b"( "), words), "no spaces but one"),
        ("without type hash", keccak(b"\x19\x01" + signed.separator + keccak(words)), "the type hash is missing"),
    ]
    if b"uint64" in string:
        wide = of(string.replace(b"uint64", b"uint256"), words)
        found.append(("uint256 for uint64", wide, "the width is part of the type string"))
    if signed.struct == "Settlement":
        inner, payment = STRUCTS["ServicePayment"], encode_data("ServicePayment", signed.message["payment"])
        outer = string.removesuffix(inner)
        found += [
            ("referenced type left out", of(outer, words), "encodeType ends with the referenced types"),
            ("referenced type in front", of(inner + outer, words), "the primary type comes first"),
            ("payment as words", of(string, payment + words[32:]), "a nested struct enters as its hashStruct"),
            (
                "payment without type hash",
                of(string, keccak(payment) + words[32:]),
                "hashStruct begins with the type hash",
            ),
        ]
    elif signed.struct != "Seal":
        (kind, name), *others = members(signed.struct)
        swapped = [*others, (kind, name)]
        head = f"{signed.struct}({','.join(' '.join(member) for member in swapped)})".encode()
        found.append(("first member last", of(head, words[32:] + words[:32]), "members have an order"))
    return found
