"""Genesis files: what block 0 of each is, and everything that is not a genesis file."""

from __future__ import annotations

import json
from typing import Any

from tests.model.encoding import Header, block_hash, encode_header, keccak, merkle_root
from tests.model.reference import GENESIS_MEMBERS, canonical_genesis
from tests.model.signing import address_of
from tests.model.small_chain import genesis as small_genesis

from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid
from .hashes import MNEMONIC, derive
from .state_tree import account_key, account_record, state_root

CHAIN_ID_MAX = 4503599627370476
TOKEN = 10**18
QUANTITY, BYTES = (
    "a quantity is 0x and hexadecimal digits in lower case without leading zeros",
    "hexadecimal in lower case",
)
OUTSIDE, MEMBERS, JSON = "the number is out of its range", "exactly thirteen members", "one JSON object in UTF-8"
TWICE, SUM = "a member is given twice", "the sum of alloc is below 2^128"
DURATIONS, ALLOC = "minDuration is not above maxDuration", "alloc is an object of address to amount"
# Lowest and highest value of each number.
RANGES = {
    "chainId": (1, CHAIN_ID_MAX),
    "timestamp": (0, 2**64 - 1),
    "blockInterval": (1, 2**64 - 1),
    "minFee": (0, 2**128 - 1),
    "reward": (0, 2**128 - 1),
    "minDuration": (1, 2**63 - 1),
    "maxDuration": (1, 2**63 - 1),
    "maxExpiriesPerBlock": (1, 2**64 - 1),
    "maxBlockTransactions": (1, 2**64 - 1),
    "maxBlockBytes": (1, 2**64 - 1),
}
Members = dict[str, Any]


def devnet(**changes: object) -> Members:
    """The devnet's genesis, in the protocol's words."""
    alloc = {text(address_of(derive(MNEMONIC, index))): hex(10_000 * TOKEN) for index in range(10)}
    members: Members = {
        "chainId": hex(20487),
        "timestamp": hex(1767225600),
        "authority": text(address_of(derive(MNEMONIC, 10))),
        "extra": text(bytes(32)),
        "alloc": alloc,
        "blockInterval": "0x1",
        "minFee": hex(10**12),
        "reward": hex(TOKEN),
        "minDuration": "0x1",
        "maxDuration": hex(10**6),
        "maxExpiriesPerBlock": hex(1000),
        "maxBlockTransactions": hex(5000),
        "maxBlockBytes": hex(2 * 1024 * 1024),
    }
    return members | changes


def alloc_root(members: Members) -> bytes:
    accounts = {bytes.fromhex(who[2:]): int(amount, 16) for who, amount in members["alloc"].items()}
    return state_root({account_key(who): account_record(amount, 0) for who, amount in accounts.items() if amount})


def genesis_header(members: Members) -> Header:
    empty = merkle_root([])
    return Header(
        chainId=int(members["chainId"], 16),
        height=0,
        timestamp=int(members["timestamp"], 16),
        parentHash=keccak(canonical_genesis(members)),
        txRoot=empty,
        txCount=0,
        receiptsRoot=empty,
        stateRoot=alloc_root(members),
        historyRoot=empty,
        authority=bytes.fromhex(members["authority"][2:]),
    )


def genesis_files() -> list[VectorFile]:
    return [
        VectorFile(
            "genesis",
            "Genesis files: canonical bytes, block 0 and the genesis hash (section 6); the devnet's too.",
            paragraphs(
                """
                kind genesis: input.file is the text of the file (where it is not UTF-8, input.fileBytes are its
                bytes). expected.canonical is its RFC 8785 form, parentHash the Keccak-256 of that, headerBytes the
                320 bytes of block 0, genesisHash their Keccak-256, supply the sum of alloc.

                INVALID_GENESIS: a node must refuse the file. The ranges of the numbers, both ends included: chainId
                1 to 4503599627370476; minDuration and maxDuration 1 to 2^63 - 1; blockInterval,
                maxExpiriesPerBlock, maxBlockTransactions and maxBlockBytes 1 to 2^64 - 1; timestamp 0 to 2^64 - 1;
                minFee, reward and the amounts of alloc 0 to 2^128 - 1.
                """
            ),
            [*right(), *wrong_values(), *wrong_members(), *wrong_texts()],
        )
    ]


def right() -> list[Case]:
    first = genesis_header(devnet())
    chance = dice("genesis")
    largest = {name: hex(high) for name, (_, high) in RANGES.items()}
    smallest = {name: hex(low) for name, (low, _) in RANGES.items()}
    many = {text(chance.randbytes(20)): hex(chance.randrange(2**100)) for _ in range(20)}
    whole = {text(b"\xff" * 20): hex(2**128 - 2), text(bytes(20)): "0x1"}
    shuffled = dict(sorted(devnet().items(), key=lambda member: keccak(member[0].encode())))
    return [
        genesis_case("the devnet's", devnet()),
        genesis_case("the devnet's after a reset", devnet(extra=text(block_hash(first)))),
        genesis_case("the devnet's with another chain id", devnet(chainId="0x1")),
        genesis_case("the small chain's", small_genesis()),
        genesis_case("the largest numbers", devnet(**largest, extra=text(b"\xff" * 32), alloc=whole)),
        genesis_case("the smallest numbers and no accounts", devnet(**smallest, alloc={})),
        genesis_case("an allocation of nothing", devnet(alloc={text(bytes(20)): "0x0", text(b"\x01" * 20): "0x1"})),
        genesis_case("many accounts", devnet(alloc=many)),
        genesis_case("members in another order, on several lines", shuffled, json.dumps(shuffled, indent="\t")),
        genesis_case("escapes in the text", devnet(), escaped(json.dumps(devnet()))),
        genesis_case("white space around it", devnet(), " \r\n\t" + json.dumps(devnet()) + "\n \n"),
    ]


def escaped(file: str) -> str:
    """The same JSON with some characters as \\u escapes."""
    return file.replace('"chainId"', '"\\u0063hainId"').replace('"0x1"', '"\\u0030x1"')


def genesis_case(name: str, members: Members, file: str | None = None) -> Case:
    header = genesis_header(members)
    expected = {
        "canonical": canonical_genesis(members).decode(),
        "parentHash": text(header["parentHash"]),
        "stateRoot": text(header["stateRoot"]),
        "headerBytes": text(encode_header(header)),
        "genesisHash": text(block_hash(header)),
        "supply": hex(sum(int(amount, 16) for amount in members["alloc"].values())),
    }
    return valid("genesis", name, {"file": file or json.dumps(members)}, expected)


def refused(name: str, file: str, why: str) -> Case:
    return invalid("genesis", name, {"file": file}, "INVALID_GENESIS", why)


def wrong_values() -> list[Case]:
    found = []
    for member, (low, high) in RANGES.items():
        numbers = [("too large", high + 1)] + ([("zero", 0)] if low else [])
        found += [
            refused(f"{member}: {what}", json.dumps(devnet(**{member: hex(value)})), OUTSIDE) for what, value in numbers
        ]
    forms = ["0x", "0x01", "0x00", "0X1", "1", "-0x1", "0x-1", "0xA", " 0x1", "0x1\n", "0x1_0", "0x\u0661", "", 1, 1.0]
    for form in [*forms, None, True, ["0x1"], {}]:
        found.append(refused(f"maxBlockBytes: {json.dumps(form)}", json.dumps(devnet(maxBlockBytes=form)), QUANTITY))
    found += [refused(f"chainId: {form}", json.dumps(devnet(chainId=form)), QUANTITY) for form in ("0x05007", 20487)]
    who = text(address_of(derive(MNEMONIC, 0)))
    mixed = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    for name, value in (("with checksum", mixed), ("in upper case", "0x" + who[2:].upper()), ("cut", who[:-2])):
        found.append(refused(f"authority {name}", json.dumps(devnet(authority=value)), BYTES))
        found.append(refused(f"alloc to an address {name}", json.dumps(devnet(alloc={value: "0x1"})), BYTES))
    for name, value in (("31 bytes", "0x" + "00" * 31), ("upper case", "0x" + "AB" * 32), ("no prefix", "00" * 32)):
        found.append(refused(f"extra: {name}", json.dumps(devnet(extra=value)), BYTES))
    found += [refused(f"extra: {json.dumps(other)}", json.dumps(devnet(extra=other)), BYTES) for other in (None, 0)]
    for name, amount, why in (
        ("too large", hex(2**128), OUTSIDE),
        ("a number", 1, QUANTITY),
        ("decimal", "1", QUANTITY),
    ):
        found.append(refused(f"amount of alloc {name}", json.dumps(devnet(alloc={who: amount})), why))
    half = {text(bytes(20)): hex(2**127), text(b"\x01" * 20): hex(2**127)}
    found.append(refused("allocations of 2^128 in all", json.dumps(devnet(alloc=half)), SUM))
    others: tuple[object, ...] = ([], None, "0x", 0)
    found += [refused(f"alloc: {json.dumps(other)}", json.dumps(devnet(alloc=other)), ALLOC) for other in others]
    found.append(refused("durations the wrong way round", json.dumps(devnet(minDuration=hex(10**6 + 1))), DURATIONS))
    return found


def wrong_members() -> list[Case]:
    found = []
    for member in sorted(GENESIS_MEMBERS):
        without = {name: value for name, value in devnet().items() if name != member}
        found.append(refused(f"without {member}", json.dumps(without), MEMBERS))
    found.append(refused("with a member too many", json.dumps(devnet(version="0x1")), MEMBERS))
    found.append(refused("with a member in another case", json.dumps(devnet(ChainId="0x1")), MEMBERS))
    found.append(refused("empty object", "{}", MEMBERS))
    file = json.dumps(devnet())
    found.append(refused("a member twice", file[:-1] + ', "chainId": "0x5007"}', TWICE))
    found.append(refused("a member twice, once as an escape", file[:-1] + ', "\\u0063hainId": "0x5007"}', TWICE))
    one = text(bytes(20))
    twice = json.dumps(devnet(alloc={one: "0x1"})).replace(f'"{one}": "0x1"', f'"{one}": "0x1", "{one}": "0x1"')
    found.append(refused("an address of alloc twice", twice, TWICE))
    return found


def wrong_texts() -> list[Case]:
    file = json.dumps(devnet())
    found = [
        refused("empty file", "", JSON),
        refused("white space", "  \n", JSON),
        refused("null", "null", JSON),
        refused("array", f"[{file}]", JSON),
        refused("string", json.dumps(file), JSON),
        refused("cut in the middle", file[:200], JSON),
        refused("last brace missing", file[:-1], JSON),
        refused("two objects", file + file, JSON),
        refused("comma before the end", file[:-1] + ",}", JSON),
        refused("comment", "/* genesis */ " + file, JSON),
        refused("single quotes", file.replace('"', "'"), JSON),
        refused("byte order mark", "\ufeff" + file, JSON),
        refused("zero byte behind it", file + "\x00", JSON),
    ]
    latin, utf_16 = file.encode().replace(b"chainId", b"chain\xffId"), file.encode("utf-16")
    for name, data in (("a byte that is no UTF-8", latin), ("UTF-16", utf_16)):
        found.append(invalid("genesis", name, {"fileBytes": text(data)}, "INVALID_GENESIS", JSON))
    return found
