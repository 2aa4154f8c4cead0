"""How this node answers the vectors: one function for each kind of case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Final

from consensus.seal import check_seal
from crypto import hashing, merkle, state_proof
from crypto.address import address_of_public_key, checksum_address, parse_address
from crypto.eip712 import DOMAIN_TYPE, Domain, StructType, domain_separator, struct_hash
from crypto.merkle_proof import MerkleProofError, verify_consistency, verify_inclusion
from crypto.signature import InvalidSignature, SigningKey, recover
from crypto.state_proof import StateProof, StateProofError, verify_state_proof
from crypto.words import (
    AMOUNT_LIMIT,
    UINT64_LIMIT,
    WordOutOfRange,
    decode_address,
    decode_uint,
    encode_address,
    encode_uint,
)
from ledger.block import Block, MalformedBlock
from ledger.errors import InvalidBlock, InvalidGenesis, Refusal
from ledger.genesis import parse_genesis
from ledger.header import SEAL_TYPE, Header, MalformedHeader, seal_struct_hash
from ledger.receipt import Receipt
from ledger.records import Account, Pool, Target, account_key, decode_burned, pool_key, target_key, tree_key
from ledger.tree_build import compute_root
from poolchain.mnemonic import derive_keys
from poolchain.signing import sign_payment, sign_settlement, sign_transaction
from txtypes.create_pool import CREATE_POOL
from txtypes.service_payment import PAYMENT, SERVICE_PAYMENT
from txtypes.table import decode
from txtypes.transfer import TRANSFER
from txtypes.wire import encode_word

from .reading import Case, Wrong, data, text

STRUCTS: Final[Mapping[str, StructType]] = {
    struct.name: struct
    for struct in (DOMAIN_TYPE, *TRANSFER.documents, *CREATE_POOL.documents, *SERVICE_PAYMENT.documents, SEAL_TYPE)
}
HASHES = {"keccak256": hashing.keccak256, "sha256": hashing.sha256}


def number(shown: str) -> int:
    return int(shown, 16)


def digest(given: Case) -> Case:
    found = text(HASHES[given["hash"]](data(given["message"])))
    if given.get("digest", found) != found:
        raise Wrong("WRONG_HASH")
    return {"digest": found}


def key(given: Case) -> Case:
    try:
        signing = SigningKey(data(given["secret"]))
    except ValueError as error:
        raise Wrong("INVALID_KEY", error) from error
    public = signing._key.public_key.format(compressed=False)[1:]
    assert address_of_public_key(public) == signing.address
    return {"publicKey": text(public), "address": checksum_address(signing.address)}


def mnemonic(given: Case) -> Case:
    at = int(given["path"].removeprefix("m/44'/60'/0'/0/"))
    found = derive_keys(given["mnemonic"], at + 1)[at]
    return {"secret": text(found.secret), "address": checksum_address(found.address)}


def show(given: Case) -> Case:
    return {"text": checksum_address(data(given["address"]))}


def parse(given: Case) -> Case:
    try:
        return {"address": text(parse_address(given["text"]))}
    except ValueError as error:
        raise Wrong("INVALID_ADDRESS", error) from error


def word(given: Case) -> Case:
    shown = data(given["word"])
    value: Any
    try:
        if given["type"] == "bytes32":
            value, back = text(shown), encode_word(shown, "bytes32")
        elif given["type"] == "address":
            address = decode_address(shown)
            value, back = text(address), encode_address(address)
        else:
            found = decode_uint(shown, UINT64_LIMIT if given["type"] == "uint64" else AMOUNT_LIMIT)
            value, back = hex(found), encode_uint(found)
    except WordOutOfRange as error:
        raise Wrong("MALFORMED", error) from error
    assert back == shown
    return {"value": value}


def struct_type(given: Case) -> Case:
    struct = STRUCTS[given["primaryType"]]
    return {"encodeType": struct.encode_type(), "typeHash": text(struct.type_hash())}


def domain(given: Case) -> Case:
    return {"separator": text(domain_separator(number(given["chainId"]), data(given["salt"])))}


def domain_of(given: Case) -> Domain:
    return Domain.of(number(given["chainId"]), data(given["salt"]))


def typed(given: Case) -> Case:
    struct = STRUCTS[given["primaryType"]]
    encoded = encode_message(struct, given["message"])
    hashed = struct_hash(struct.type_hash(), encoded)
    found = text(domain_of(given["domain"]).digest(hashed))
    if given.get("digest", found) != found:
        raise Wrong("WRONG_DIGEST")
    return {"encodeData": text(encoded), "structHash": text(hashed), "digest": found}


def encode_message(struct: StructType, message: Case) -> bytes:
    parts = []
    for name, abi in struct.members:
        value = message[name]
        if isinstance(value, dict):
            parts.append(struct_hash(PAYMENT.type_hash(), encode_message(PAYMENT, value)))
        else:
            parts.append(encode_word(data(value) if abi in {"address", "bytes32"} else number(value), abi))
    return b"".join(parts)


def recovered(given: Case) -> Case:
    try:
        return {"address": text(recover(data(given["digest"]), data(given["signature"])))}
    except InvalidSignature as error:
        raise Wrong("BAD_SIGNATURE", error) from error


def signed(given: Case) -> Case:
    return {"signature": text(SigningKey(data(given["secret"])).sign(data(given["digest"])))}


def transaction(given: Case, secrets: list[str]) -> Case:
    """`secrets` sign the decoded fields again: raw comes back."""
    raw, in_domain = data(given["raw"]), domain_of(given)
    try:
        found = decode(raw, in_domain)
    except Refusal as refusal:
        raise Wrong(refusal.reason, refusal) from refusal
    parts = [part.name for part in found.kind.layout if part.abi != "signature"]
    values = dict(zip(parts, (getattr(found.fields, each) for each in found.fields._fields), strict=True))
    keys = [SigningKey(data(secret)) for secret in secrets]
    if found.kind is SERVICE_PAYMENT:
        by_creator = sign_payment(values, keys[0], in_domain)
        assert sign_settlement(values, by_creator, keys[1], in_domain) == raw
    else:
        assert sign_transaction(found.kind.name, values, keys[0], in_domain) == raw
    return {
        "type": found.kind.name,
        "fields": {name: text(value) if isinstance(value, bytes) else hex(value) for name, value in values.items()},
        "hash": text(found.hash),
        "signers": [text(signer) for signer in found.signers],
        "secrets": secrets,
    }


def genesis(given: Case) -> Case:
    file = data(given["fileBytes"]) if "fileBytes" in given else given["file"].encode()
    try:
        found = parse_genesis(file)
    except InvalidGenesis as error:
        raise Wrong("INVALID_GENESIS", error) from error
    records = {tree_key(key): record for key, record in found.allocations().items()}
    header = found.header(compute_root(sorted(records.items())))
    assert parse_genesis(found.canonical_bytes()) == found
    return {
        "canonical": found.canonical_bytes().decode(),
        "parentHash": text(header.parent_hash),
        "stateRoot": text(header.state_root),
        "headerBytes": text(header.encode()),
        "genesisHash": text(header.hash()),
        "supply": hex(found.supply),
    }


HEADER_NAMES = (
    *("chainId", "height", "timestamp", "parentHash", "txRoot", "txCount", "receiptsRoot", "stateRoot"),
    *("historyRoot", "authority"),
)
RECEIPT_NAMES = ("transactionHash", "outcome", "fee", "cptxHash", "paid", "burned", "reward")


def named(value: Any, names: Sequence[str]) -> Case:
    """The members of a record under their names in JSON."""
    members = value if isinstance(value, tuple) else (getattr(value, field.name) for field in fields(value))
    shown = (text(member) if isinstance(member, bytes) else hex(member) for member in members)
    return dict(zip(names, shown, strict=True))


def header(given: Case) -> Case:
    try:
        found = Header.decode(data(given["headerBytes"]))
    except MalformedHeader as error:
        raise Wrong("MALFORMED", error) from error
    assert found.encode() == data(given["headerBytes"])
    return {"header": named(found, HEADER_NAMES), "hash": text(found.hash())}


def receipt_members(found: Receipt) -> Case:
    return named(found, RECEIPT_NAMES) | {"outcome": found.outcome.name.lower()}


def receipt(given: Case) -> Case:
    raw = data(given["receiptBytes"])
    try:
        found = Receipt.decode(raw)
    except ValueError as error:
        raise Wrong("MALFORMED", error) from error
    assert found.encode() == raw
    return {"receipt": receipt_members(found), "leafHash": text(merkle.hash_leaf(raw))}


def block(given: Case) -> Case:
    raw = data(given["blockBytes"])
    try:
        found = Block.decode(raw)
    except MalformedBlock as error:
        raise Wrong("MALFORMED", error) from error
    assert found.encode() == raw
    return {
        "headerBytes": text(found.header.encode()),
        "seal": None if found.seal is None else text(found.seal),
        "transactions": [text(one) for one in found.transactions],
    }


def seal(given: Case) -> Case:
    in_domain, block_hash = domain_of(given), data(given["blockHash"])
    shown = None if given["seal"] is None else data(given["seal"])
    try:
        check_seal(shown, block_hash, data(given["authority"]), in_domain)
    except InvalidBlock as error:
        raise Wrong(error.reason, error.detail) from error
    return {"digest": text(in_domain.digest(seal_struct_hash(block_hash)))}


def state_key(shown: Case) -> bytes:
    match shown:
        case {"account": address}:
            return account_key(data(address))
        case {"cptxHash": pool, "target": address}:
            return target_key(data(pool), data(address))
        case {"cptxHash": pool}:
            return pool_key(data(pool))
        case _:
            return b"b"


def tree_key_of(given: Case) -> Case:
    return {"treeKey": text(tree_key(state_key(given["key"])))}


def account(given: Case) -> Case:
    return {"fields": record(Account, given, ["balance", "nonce"])}


def target(given: Case) -> Case:
    return {"fields": record(Target, given, ["seq", "paid"])}


def pool(given: Case) -> Case:
    names = ["creator", "resourceId", "deposit", "collateral", "spent", "createdAt", "expiresAt", "status"]
    found = record(Pool, given, names)
    return {"fields": found | {"status": Pool.decode(data(given["recordBytes"])).status.name.lower()}}


def burned(given: Case) -> Case:
    return {"fields": hex(decode_burned(data(given["recordBytes"])))}


def record(kind: type[Account | Pool | Target], given: Case, names: list[str]) -> Case:
    raw = data(given["recordBytes"])
    try:
        found = kind.decode(raw)
    except ValueError as error:
        raise Wrong("MALFORMED", error) from error
    assert found.encode() == raw
    shown = [text(member) if isinstance(member, bytes) else hex(member) for member in astuple(found)]
    return dict(zip(names, shown, strict=True))


def state_root(given: Case) -> Case:
    items = sorted((data(entry["treeKey"]), data(entry["recordBytes"])) for entry in given["records"])
    return {"root": text(compute_root(items))}


def state_proven(given: Case) -> Case:
    shown = None if given["recordBytes"] is None else data(given["recordBytes"])
    try:
        proof = StateProof.decode(data(given["proof"]))
        verify_state_proof(data(given["root"]), data(given["treeKey"]), shown, proof)
    except StateProofError as error:
        raise Wrong("BAD_PROOF", error.reason) from error
    assert text(proof.encode()) == given["proof"]
    names = {state_proof.EMPTY: "empty", state_proof.PRESENT: "present", state_proof.ABSENT: "absent"}
    return {"proves": names[proof.kind]}


def tree_root(given: Case) -> Case:
    found = text(merkle.root(map(data, given["entries"])))
    if given.get("root", found) != found:
        raise Wrong("WRONG_ROOT")
    return {"root": found}


def inclusion(given: Case) -> Case:
    path = [data(sibling) for sibling in given["path"]]
    root, size, at = data(given["root"]), number(given["size"]), number(given["index"])
    try:
        verify_inclusion(root, size, at, data(given["entry"]), path)
    except MerkleProofError as error:
        raise Wrong("BAD_PROOF", error) from error
    return {"valid": True}


def consistency(given: Case) -> Case:
    first, second = ((data(given[f"{which}Root"]), number(given[f"{which}Size"])) for which in ("first", "second"))
    try:
        verify_consistency(*first, *second, [data(sibling) for sibling in given["path"]])
    except MerkleProofError as error:
        raise Wrong("BAD_PROOF", error) from error
    return {"valid": True}
