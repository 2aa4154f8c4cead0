"""EIP-712 typed data, as far as the chain needs it (protocol section 2).

All our members are static, so the encodeData of a struct is just its words: digests are hashes over a type hash and
a slice of the wire. The general rules are checked against eth-account and ethers in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from .hashing import keccak256
from .words import encode_uint

DOMAIN_NAME: Final = "Poolchain"
DOMAIN_VERSION: Final = "1"
DOMAIN_MEMBERS: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("salt", "bytes32"),
)
"""Members of EIP712Domain in the order in which they are hashed."""
CHAIN_ID_MAX: Final = 4503599627370476
"""The largest chain id that wallets accept."""


@dataclass(frozen=True, slots=True)
class StructType:
    """One EIP-712 struct: its name, its members and the structs it refers to."""

    name: str
    members: tuple[tuple[str, str], ...]
    """(name, type) in the order in which they are signed and shown by wallets."""
    references: tuple[StructType, ...] = ()

    def encode_type(self) -> str:
        """Return encodeType: this struct, then the referenced ones sorted by name."""
        structs = [self, *sorted(self.references, key=lambda struct: struct.name)]
        return "".join(
            f"{struct.name}({','.join(f'{kind} {name}' for name, kind in struct.members)})" for struct in structs
        )

    def type_hash(self) -> bytes:
        """Return the Keccak-256 of encodeType."""
        return keccak256(self.encode_type().encode())


DOMAIN_TYPE: Final = StructType("EIP712Domain", DOMAIN_MEMBERS)


def domain_separator(chain_id: int, genesis_hash: bytes) -> bytes:
    """Return the 32-byte hash of the domain of one chain: no other chain shares it."""
    return keccak256(
        DOMAIN_TYPE.type_hash()
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + encode_uint(chain_id)
        + genesis_hash
    )


class Domain(NamedTuple):
    """The signing domain of one chain; made by `Domain.of`. It is sent between processes, compiled or not."""

    chain_id: int
    genesis_hash: bytes
    prefix: bytes
    """0x19 0x01 and the domain separator: what every digest starts with."""

    @classmethod
    def of(cls, chain_id: int, genesis_hash: bytes) -> Domain:
        """Return the domain of the chain with this id and genesis."""
        return cls(chain_id, genesis_hash, b"\x19\x01" + domain_separator(chain_id, genesis_hash))

    def digest(self, struct_hash: bytes) -> bytes:
        """Return the 32 bytes that are signed for a struct with this hash."""
        return keccak256(self.prefix + struct_hash)


def struct_hash(type_hash: bytes, encoded: bytes) -> bytes:
    """Return hashStruct of a struct whose members encode to the words `encoded`."""
    return keccak256(type_hash + encoded)
