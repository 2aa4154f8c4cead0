"""Bytes of the reference model: words, hashes, trees, digests, signatures, sections 1 to 3 and 6.

Comments that begin with "Reading:" mark places where the page leaves a choice.
"""

import hashlib
from collections.abc import Sequence
from typing import TypedDict

import coincurve
import sha3

CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
ADDRESS_LIMIT = 2**160
AMOUNT_LIMIT = 2**128
UINT64_LIMIT = 2**64

TRANSFERRED, CREATED, SETTLED, SLASHED = 0, 1, 2, 3

DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,bytes32 salt)"
TRANSFER_TYPE = b"Transfer(address to,uint256 amount,uint256 fee,uint64 nonce)"
CREATE_POOL_TYPE = b"CreatePool(bytes32 resourceId,uint256 deposit,uint256 collateral,"
CREATE_POOL_TYPE += b"uint64 duration,uint256 fee,uint64 nonce)"
PAYMENT_TYPE = b"ServicePayment(address target,uint256 amount,bytes32 cptxHash,uint64 tgtSeq)"
SETTLEMENT_TYPE = b"Settlement(ServicePayment payment,uint256 fee)" + PAYMENT_TYPE
SEAL_TYPE = b"Seal(bytes32 blockHash)"


class ModelRefusal(Exception):
    """A transaction was refused; the state is what it was before."""

    def __init__(self, reason: str) -> None:
        """Keep the reason, one of the words of sections 5 and 7."""
        super().__init__(reason)
        self.reason = reason


class Receipt(TypedDict):
    """The seven hashed members of a receipt, in the order of section 6."""

    transactionHash: bytes
    outcome: int
    fee: int
    cptxHash: bytes
    paid: int
    burned: int
    reward: int


class Header(TypedDict):
    """The ten members of a block header, in the order of section 6."""

    chainId: int
    height: int
    timestamp: int
    parentHash: bytes
    txRoot: bytes
    txCount: int
    receiptsRoot: bytes
    stateRoot: bytes
    historyRoot: bytes
    authority: bytes


def keccak(data: bytes) -> bytes:
    """Keccak-256, the hash of transactions, blocks, addresses and EIP-712."""
    return bytes(sha3.keccak_256(data).digest())


def merkle_root(entries: Sequence[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, as plain recursion over SHA-256."""
    if len(entries) == 0:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1  # becomes the largest power of two smaller than the number of entries
    while split * 2 < len(entries):
        split *= 2
    left, right = merkle_root(entries[:split]), merkle_root(entries[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def encode_word(value: int, limit: int) -> bytes:
    """One big-endian word of a number that must be below the limit."""
    if not 0 <= value < limit:
        raise ValueError("number outside the range of its word")
    return value.to_bytes(32, "big")


def encode_hash(value: bytes) -> bytes:
    """One word that is 32 bytes already."""
    if len(value) != 32:
        raise ValueError("a hash has 32 bytes")
    return value


def encode_address(value: bytes) -> bytes:
    """One word of a 20-byte address."""
    if len(value) != 20:
        raise ValueError("an address has 20 bytes")
    return bytes(12) + value


def encode_receipt(receipt: Receipt) -> bytes:
    """Return the seven words of a receipt: the entry of receiptsRoot."""
    return (
        encode_hash(receipt["transactionHash"])
        + encode_word(receipt["outcome"], SLASHED + 1)
        + encode_word(receipt["fee"], AMOUNT_LIMIT)
        + encode_hash(receipt["cptxHash"])
        + encode_word(receipt["paid"], AMOUNT_LIMIT)
        + encode_word(receipt["burned"], AMOUNT_LIMIT)
        + encode_word(receipt["reward"], AMOUNT_LIMIT)
    )


def receipts_root(receipts: Sequence[Receipt]) -> bytes:
    """Return the RFC 9162 root over the canonical receipts of one block."""
    return merkle_root([encode_receipt(receipt) for receipt in receipts])


def encode_header(header: Header) -> bytes:
    """Return the ten words of a header, 320 bytes."""
    return (
        encode_word(header["chainId"], UINT64_LIMIT)
        + encode_word(header["height"], UINT64_LIMIT)
        + encode_word(header["timestamp"], UINT64_LIMIT)
        + encode_hash(header["parentHash"])
        + encode_hash(header["txRoot"])
        + encode_word(header["txCount"], UINT64_LIMIT)
        + encode_hash(header["receiptsRoot"])
        + encode_hash(header["stateRoot"])
        + encode_hash(header["historyRoot"])
        + encode_address(header["authority"])
    )


def block_hash(header: Header) -> bytes:
    """Keccak-256 of the 320 bytes."""
    return keccak(encode_header(header))


def domain_separator(chain_id: int, genesis_hash: bytes) -> bytes:
    """HashStruct of the EIP-712 domain of one chain."""
    return keccak(
        keccak(DOMAIN_TYPE)
        + keccak(b"Poolchain")
        + keccak(b"1")
        + encode_word(chain_id, UINT64_LIMIT)
        + encode_hash(genesis_hash)
    )


def signing_digest(separator: bytes, type_string: bytes, words: bytes) -> bytes:
    """Return the EIP-712 digest of a struct whose encodeData is the given words."""
    return keccak(b"\x19\x01" + separator + keccak(keccak(type_string) + words))


def settlement_digest(separator: bytes, payment_words: bytes, fee_word: bytes) -> bytes:
    """Return the digest the target signs: the payment enters as its hashStruct."""
    payment_hash = keccak(keccak(PAYMENT_TYPE) + payment_words)
    return signing_digest(separator, SETTLEMENT_TYPE, payment_hash + fee_word)


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the address whose key signed the digest, or refuse the signature."""
    r = int.from_bytes(signature[0:32], "big")
    s = int.from_bytes(signature[32:64], "big")
    v = signature[64]
    if not 1 <= r < CURVE_ORDER or not 1 <= s <= (CURVE_ORDER - 1) // 2 or v not in (27, 28):
        raise ModelRefusal("BAD_SIGNATURE")
    compact = signature[0:64] + bytes([v - 27])
    try:
        key = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # the library raises a bare Exception where no key exists
        raise ModelRefusal("BAD_SIGNATURE") from error
    return keccak(key.format(compressed=False)[1:])[12:]


def read_word(raw: bytes, start: int, limit: int) -> int:
    """Return the number in the word at the given byte; one that is too large is MALFORMED."""
    value = int.from_bytes(raw[start : start + 32], "big")
    if value >= limit:
        raise ModelRefusal("MALFORMED")
    return value


def read_address(raw: bytes, start: int) -> bytes:
    """Return the address in the word at the given byte."""
    return read_word(raw, start, ADDRESS_LIMIT).to_bytes(20, "big")


def parse_quantity(text: str, limit: int) -> int:
    """Return the number of a 0x-quantity."""
    # Reading: hex digits of quantities are lower case, as in Ethereum's execution-apis.
    value = int(text, 16)
    if hex(value) != text or not 0 <= value < limit:
        raise ValueError(f"not a quantity in range: {text}")
    return value


def parse_bytes(text: str, length: int) -> bytes:
    """Return the bytes of 0x-prefixed lower-case hex."""
    value = bytes.fromhex(text[2:])
    if "0x" + value.hex() != text or len(value) != length:
        raise ValueError(f"not {length} bytes of lower-case hex: {text}")
    return value
