"""The five signed types as wallets know them, and eth-account as one such wallet.

Written from section 2 of the protocol and nothing else, so that what eth-account or ethers make of it can be compared
with the node's own digests and signatures.
"""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from crypto.hashing import keccak256

Json = dict[str, Any]
CHAIN_ID_MAX: Final = 4503599627370476
PAYMENT: Final = (("target", "address"), ("amount", "uint256"), ("cptxHash", "bytes32"), ("tgtSeq", "uint64"))
MEMBERS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "EIP712Domain": (("name", "string"), ("version", "string"), ("chainId", "uint256"), ("salt", "bytes32")),
    "Transfer": (("to", "address"), ("amount", "uint256"), ("fee", "uint256"), ("nonce", "uint64")),
    "CreatePool": (
        ("resourceId", "bytes32"),
        ("deposit", "uint256"),
        ("collateral", "uint256"),
        ("duration", "uint64"),
        ("fee", "uint256"),
        ("nonce", "uint64"),
    ),
    "ServicePayment": PAYMENT,
    "Settlement": (("payment", "ServicePayment"), ("fee", "uint256")),
    "Seal": (("blockHash", "bytes32"),),
}
PRIMARY: Final = ("Transfer", "CreatePool", "ServicePayment", "Settlement", "Seal")
_BITS: Final = {"address": 160, "bytes32": 256, "uint256": 128, "uint64": 64}


def types_of(primary: str) -> dict[str, list[dict[str, str]]]:
    """The types reachable from `primary`, without EIP712Domain."""
    names = (primary, "ServicePayment") if primary == "Settlement" else (primary,)
    return {name: [{"name": member, "type": kind} for member, kind in MEMBERS[name]] for name in names}


def document(primary: str, chain_id: int, salt: bytes, message: Json) -> Json:
    """The typed data as eth_signTypedData_v4 has it; `message` holds ints and bytes."""
    domain = {"EIP712Domain": [{"name": name, "type": kind} for name, kind in MEMBERS["EIP712Domain"]]}
    return {
        "types": domain | types_of(primary),
        "primaryType": primary,
        "domain": {"name": "Poolchain", "version": "1", "chainId": chain_id, "salt": salt},
        "message": message,
    }


def draw_message(chance: random.Random, primary: str) -> Json:
    """A message of random values, of which some are the smallest and some the largest there are."""
    found: Json = {}
    for name, kind in MEMBERS[primary]:
        if kind == "ServicePayment":
            found[name] = draw_message(chance, kind)
            continue
        bits = _BITS[kind]
        value = chance.choice((0, 1, (1 << bits) - 1, *(chance.getrandbits(bits) for _ in range(5))))
        found[name] = value if kind.startswith("uint") else value.to_bytes(bits // 8, "big")
    return found


def draw_chain_id(chance: random.Random) -> int:
    return chance.choice((1, 20487, CHAIN_ID_MAX, chance.randrange(1, CHAIN_ID_MAX + 1)))


def as_json(value: Any) -> Any:
    """Ints as decimal strings, as wallets take them, and bytes as 0x-hex."""
    if isinstance(value, dict):
        return {name: as_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_json(member) for member in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value) if isinstance(value, int) else value


class EthAccount:
    """The wallet eth-account."""

    def __init__(self) -> None:
        """Import it, which takes a second; skips the test where it is not installed."""
        self.account = pytest.importorskip("eth_account").Account
        self._messages = pytest.importorskip("eth_account.messages")

    def digest(self, typed: Json) -> bytes:
        found = self._messages.encode_typed_data(full_message=typed)
        return keccak256(b"\x19" + found.version + found.header + found.body)

    def sign(self, secret: bytes, typed: Json) -> bytes:
        """65 bytes r || s || v with v 27 or 28."""
        return bytes(self.account.sign_typed_data(secret, full_message=typed).signature)

    def recover(self, typed: Json, signature: bytes) -> bytes:
        """The 20-byte address that signed the document."""
        message = self._messages.encode_typed_data(full_message=typed)
        return bytes.fromhex(self.account.recover_message(message, signature=signature)[2:])

    def recover_digest(self, digest: bytes, signature: bytes) -> bytes:
        return bytes.fromhex(self.account._recover_hash(digest, signature=signature)[2:])

    def sign_digest(self, secret: bytes, digest: bytes) -> bytes:
        return bytes(self.account.unsafe_sign_hash(digest, secret).signature)

    def address(self, secret: bytes) -> str:
        found: str = self.account.from_key(secret).address
        return found

    def derived(self, mnemonic: str, path: str) -> tuple[bytes, str]:
        """Secret and address of a path of a mnemonic."""
        self.account.enable_unaudited_hdwallet_features()
        found = self.account.from_mnemonic(mnemonic, account_path=path)
        return bytes(found.key), found.address
