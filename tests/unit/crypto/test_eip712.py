"""EIP-712 against eth-account, and the type strings against the protocol's page."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from crypto.eip712 import CHAIN_ID_MAX, DOMAIN_TYPE, Domain, StructType, domain_separator, struct_hash
from crypto.hashing import keccak256
from crypto.words import encode_address, encode_uint
from ledger.header import SEAL_TYPE, seal_struct_hash
from tests.model import encoding
from txtypes.create_pool import CREATE_POOL
from txtypes.service_payment import PAYMENT, SERVICE_PAYMENT, SETTLEMENT
from txtypes.transfer import TRANSFER

if TYPE_CHECKING:
    from ledger.transaction import AnyKind

SALT = bytes(range(32))
CREATE_POOL_MEMBERS = "bytes32 resourceId,uint256 deposit,uint256 collateral,uint64 duration,uint256 fee,uint64 nonce"
PAYMENT_STRING = "ServicePayment(address target,uint256 amount,bytes32 cptxHash,uint64 tgtSeq)"


@pytest.mark.parametrize(
    ("struct", "text"),
    [
        (DOMAIN_TYPE, "EIP712Domain(string name,string version,uint256 chainId,bytes32 salt)"),
        (TRANSFER.documents[0], "Transfer(address to,uint256 amount,uint256 fee,uint64 nonce)"),
        (
            CREATE_POOL.documents[0],
            f"CreatePool({CREATE_POOL_MEMBERS})",
        ),
        (PAYMENT, PAYMENT_STRING),
        (SETTLEMENT, "Settlement(ServicePayment payment,uint256 fee)" + PAYMENT_STRING),
        (SEAL_TYPE, "Seal(bytes32 blockHash)"),
    ],
    ids=["domain", "transfer", "create", "payment", "settlement", "seal"],
)
def test_type_strings_are_the_protocols(struct: StructType, text: str) -> None:
    assert struct.encode_type() == text
    assert struct.type_hash() == keccak256(text.encode())


def test_documents_are_in_the_order_of_the_signatures() -> None:
    assert SERVICE_PAYMENT.documents == (PAYMENT, SETTLEMENT)


def test_referenced_structs_are_sorted_by_name() -> None:
    leaves = tuple(StructType(name, (("x", "uint256"),)) for name in ("Zebra", "Ant", "Mole"))
    struct = StructType("Main", (("z", "Zebra"), ("a", "Ant"), ("m", "Mole")), leaves)
    assert struct.encode_type() == "Main(Zebra z,Ant a,Mole m)Ant(uint256 x)Mole(uint256 x)Zebra(uint256 x)"


@pytest.mark.parametrize("chain_id", [1, 20487, CHAIN_ID_MAX])
def test_domain_separator_is_the_models(chain_id: int) -> None:
    assert domain_separator(chain_id, SALT) == encoding.domain_separator(chain_id, SALT)
    assert Domain.of(chain_id, SALT).prefix == b"\x19\x01" + domain_separator(chain_id, SALT)


def test_largest_chain_id() -> None:
    assert CHAIN_ID_MAX == 4503599627370476


def test_domains_of_two_chains_differ() -> None:
    one = Domain.of(1, SALT)
    assert one.digest(SALT) != Domain.of(2, SALT).digest(SALT)
    assert one.digest(SALT) != Domain.of(1, bytes(32)).digest(SALT)


def by_wallet(struct: StructType, chain_id: int, message: dict[str, Any]) -> bytes:
    """The digest that eth-account would sign."""
    messages = pytest.importorskip("eth_account.messages")
    types = {
        one.name: [{"name": name, "type": kind} for name, kind in one.members]
        for one in (DOMAIN_TYPE, struct, *struct.references)
    }
    domain = {"name": "Poolchain", "version": "1", "chainId": chain_id, "salt": SALT}
    document = {"types": types, "primaryType": struct.name, "domain": domain, "message": message}
    signable = messages.encode_typed_data(full_message=document)
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


def words_of(struct: StructType, message: dict[str, Any]) -> bytes:
    parts = []
    for name, abi in struct.members:
        value = message[name]
        parts.append(encode_address(value) if abi == "address" else value if abi == "bytes32" else encode_uint(value))
    return b"".join(parts)


def draw(source: random.Random, abi: str) -> bytes | int:
    match abi:
        case "address":
            return source.randbytes(20)
        case "bytes32":
            return source.randbytes(32)
        case "uint64":
            return source.choice((0, 1, 2**64 - 1, source.getrandbits(64)))
        case _:
            return source.choice((0, 1, 2**128 - 1, source.getrandbits(128)))


@pytest.mark.parametrize("kind", [TRANSFER, CREATE_POOL, SERVICE_PAYMENT], ids=lambda kind: kind.name)
@pytest.mark.parametrize("chain_id", [1, 20487, CHAIN_ID_MAX])
def test_digests_are_those_of_eth_account(kind: AnyKind, chain_id: int) -> None:
    source = random.Random(f"{kind.name} {chain_id}")
    domain = Domain.of(chain_id, SALT)
    for _ in range(5):
        first = kind.documents[0]
        message = {name: draw(source, abi) for name, abi in first.members}
        raw = bytes([kind.code]) + words_of(first, message) + bytes(65)
        expected = [by_wallet(first, chain_id, message)]
        if kind is SERVICE_PAYMENT:
            fee = source.getrandbits(128)
            raw += encode_uint(fee) + bytes(65)
            expected.append(by_wallet(SETTLEMENT, chain_id, {"payment": message, "fee": fee}))
        assert list(kind.digests(raw, domain)) == expected


def test_seal_digest_is_that_of_eth_account() -> None:
    block_hash = keccak256(b"a block")
    digest = Domain.of(20487, SALT).digest(seal_struct_hash(block_hash))
    assert digest == by_wallet(SEAL_TYPE, 20487, {"blockHash": block_hash})
    assert seal_struct_hash(block_hash) == struct_hash(SEAL_TYPE.type_hash(), block_hash)
