"""The typed edge: every value has one spelling, and a refusal names its parameter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.address import checksum_address
from rpc.errors import RpcError
from rpc.values import (
    ADDRESS,
    AMOUNT,
    BLOCK,
    BOOLEAN,
    BYTES,
    HASH,
    OBJECT,
    SIGNATURE,
    UINT64,
    Kind,
    array_of,
    byte_string,
    bytes_text,
    either,
    nullable,
    one_of,
    quantity,
    quantity_text,
    read,
    record,
    text,
)

H32 = "0x" + "ab" * 32
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

NO_STRINGS: list[Any] = [None, True, False, 0, 1, -1, 7, 10**20, [], {}, ["0x1"], {"a": 1}]
NO_HEX = [
    "",
    "0x ",
    "0",
    "1",
    "x",
    "latest ",
    " 0x1",
    "0x1 ",
    "0x1\n",
    "0X1",
    "0x1_0",
    "0x+1",
    "0x-1",
    "-0x1",
    "+0x1",
    "0x0x1",
    "0xg1",
    "1_000",
    " 7 ",
    "007",
    "-0",
    "+1",
    "1e3",
    "0x\u0661\u0661",
    "\u0661",
    "0x\uff11\uff11",
    "\ud800",
    "0x" + "1" * 10_000 + "g",
]

ACCEPTED: list[tuple[Kind[Any], object, object]] = [
    (quantity(), "0x0", 0),
    (quantity(), "0x1", 1),
    (quantity(), "0xdeadbeef", 0xDEADBEEF),
    (quantity(), "0x" + "f" * 64, 2**256 - 1),
    (quantity(3, 5), "0x3", 3),
    (quantity(3, 5), "0x5", 5),
    (UINT64, "0xffffffffffffffff", 2**64 - 1),
    (AMOUNT, "0x" + "f" * 32, 2**128 - 1),
    (BYTES, "0x", b""),
    (BYTES, "0x00ff", b"\x00\xff"),
    (HASH, H32, b"\xab" * 32),
    (SIGNATURE, "0x" + "01" * 65, b"\x01" * 65),
    (byte_string(maximum=2), "0xffff", b"\xff\xff"),
    (ADDRESS, CHECKSUMMED, bytes.fromhex(CHECKSUMMED[2:])),
    (ADDRESS, CHECKSUMMED.lower(), bytes.fromhex(CHECKSUMMED[2:])),
    (BLOCK, "latest", "latest"),
    (BLOCK, "earliest", "earliest"),
    (BLOCK, "0x0", 0),
    (BLOCK, "0xffffffffffffffff", 2**64 - 1),
    (BLOCK, H32, b"\xab" * 32),
    (BOOLEAN, True, True),
    (BOOLEAN, False, False),
    (OBJECT, {"a": 1.5}, {"a": 1.5}),
    (text(3), "abc", "abc"),
    (text(3), "", ""),
    (one_of("pooled", "committed"), "pooled", "pooled"),
    (nullable(HASH), None, None),
    (nullable(HASH), H32, b"\xab" * 32),
    (either(BYTES, OBJECT), "0x01", b"\x01"),
    (either(BYTES, OBJECT), {}, {}),
    (array_of(UINT64, 2), ["0x1", "0x2"], [1, 2]),
    (array_of(UINT64, 2), [], []),
    (record({"to": HASH, "n": UINT64}), {"n": "0x1", "to": H32}, {"to": b"\xab" * 32, "n": 1}),
]


@pytest.mark.parametrize(("kind", "given", "expected"), ACCEPTED)
def test_value_is_read(kind: Kind[Any], given: object, expected: object) -> None:
    value = read(kind, given, "p")
    assert value == expected
    assert type(value) is type(expected)


REFUSED: list[tuple[Kind[Any], list[Any]]] = [
    (quantity(), [*NO_STRINGS, *NO_HEX, "0x", "0x00", "0x01", "0xA", "0xaB", "0x1" + "0" * 64]),
    (quantity(3, 5), ["0x2", "0x6", "0x0"]),
    (UINT64, [*NO_STRINGS, "0x10000000000000000"]),
    (AMOUNT, ["0x1" + "0" * 32, "-0x1"]),
    (BYTES, [*NO_STRINGS, *NO_HEX, "0x0", "0xabc", "0xAB", "0xab cd", "ab"]),
    (HASH, ["0x", H32[:-1], H32[:-2], H32 + "00", H32.upper(), "0x" + "AB" * 32, H32[2:]]),
    (byte_string(minimum=1, maximum=2), ["0x", "0x000000"]),
    (
        ADDRESS,
        [
            *NO_STRINGS,
            *NO_HEX,
            CHECKSUMMED[:-1] + "D",
            CHECKSUMMED.upper(),
            "0x" + CHECKSUMMED[2:].upper(),
            CHECKSUMMED[2:],
            CHECKSUMMED + "00",
            CHECKSUMMED + "\n",
            H32,
        ],
    ),
    (BLOCK, [*NO_STRINGS, *NO_HEX, "Latest", "pending", "0x01", H32.replace("a", "A"), H32[:-2]]),
    (BLOCK, ["0x10000000000000000"]),
    (BOOLEAN, [None, 0, 1, "true", "false", "", [], {}]),
    (OBJECT, [None, 0, True, "", [], "{}"]),
    (text(3), [None, 0, True, [], {}, "abcd", "\ud800"]),
    (one_of("pooled", "committed"), [None, 0, "Pooled", "pooled ", "", [], {}]),
    (nullable(HASH), [False, 0, "", "null"]),
    (either(BYTES, OBJECT), [None, 1, "{}", []]),
    (array_of(UINT64, 2), [None, "0x1", {}, [1], ["0x1", None]]),
]


@pytest.mark.parametrize(("kind", "given"), [(kind, given) for kind, refused in REFUSED for given in refused])
def test_value_is_refused_and_its_parameter_named(kind: Kind[Any], given: object) -> None:
    with pytest.raises(RpcError) as caught:
        read(kind, given, "thing")
    error = caught.value.as_json()
    assert error["code"] == -32602
    data = error["data"]
    assert isinstance(data, dict)
    assert data["reason"] == "INVALID_PARAMS"
    assert data["expected"].startswith("thing")
    assert len(data["given"]) <= 81
    str(error).encode()  # can be sent


def test_refusal_inside_names_the_whole_path() -> None:
    kind = record({"fields": record({"to": ADDRESS}), "raws": array_of(BYTES, 9)})
    for value, path in [
        ({"fields": {"to": 1}, "raws": []}, "tx.fields.to: "),
        ({"fields": {}, "raws": []}, "tx.fields.to: "),
        ({"fields": {"to": CHECKSUMMED}, "raws": ["0x", "0x", "x"]}, "tx.raws[2]: "),
        ({"fields": {"to": CHECKSUMMED}, "raws": [], "more": 1}, "tx: only the members "),
        ({"raws": []}, "tx.fields: "),
        ([], "tx: "),
    ]:
        with pytest.raises(RpcError) as caught:
            read(kind, value, "tx")
        assert str(caught.value.data["expected"]).startswith(path)


def test_optional_member_reads_as_none() -> None:
    kind = record({"a": UINT64, "b": UINT64}, optional=("b",))
    assert read(kind, {"a": "0x1"}, "p") == {"a": 1, "b": None}
    with pytest.raises(RpcError):
        read(kind, {"b": "0x1"}, "p")
    with pytest.raises(RpcError):
        read(kind, {"a": "0x1", "b": None}, "p")


def test_too_many_items_is_a_limit_not_a_shape() -> None:
    with pytest.raises(RpcError) as caught:
        read(array_of(BYTES, 1_000), ["0x"] * 1_001, "raws")
    assert (caught.value.code, caught.value.reason) == (-32005, "LIMIT")


@given(st.integers(0, 2**256 - 1))
def test_quantity_has_one_spelling(number: int) -> None:
    assert read(quantity(), quantity_text(number), "p") == number


@given(st.binary(max_size=100))
def test_bytes_have_one_spelling(data: bytes) -> None:
    assert read(BYTES, bytes_text(data), "p") == data


@given(st.binary(min_size=20, max_size=20))
def test_address_is_read_in_both_spellings(address: bytes) -> None:
    for spelling in (bytes_text(address), checksum_address(address)):
        assert read(ADDRESS, spelling, "p") == address


@given(st.text(max_size=70))
def test_any_text_is_read_or_refused(given: str) -> None:
    kinds: list[Kind[Any]] = [quantity(), BYTES, HASH, ADDRESS, BLOCK, BOOLEAN, one_of("a")]
    for kind in kinds:
        try:
            value = read(kind, given, "p")
        except RpcError:
            continue
        if isinstance(value, int):
            assert quantity_text(value) == given
