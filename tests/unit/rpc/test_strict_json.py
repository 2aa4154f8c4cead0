"""Strict JSON: what two readers could disagree on is refused, everything else is read exactly."""

from __future__ import annotations

import json
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.strict_json import NotJson, TooManyValues, UnusableNumber, decode, is_text

MANY = 100_000

REFUSED = {
    "empty": b"",
    "blank": b" \n\t",
    "brace": b"{",
    "word": b"nope",
    "two values": b"1 2",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "comment": b"[1/**/]",
    "bad UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32-be"),
    "control character": b'"a\nb"',
    "NUL": b'"a\x00b"',
    "NUL after the value": b"{}\x00",
    "NaN": b"NaN",
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b"[-Infinity]",
    "equal keys": b'{"a":1,"a":1}',
    "equal keys by escape": b'{"a":1,"\\u0061":2}',
    "equal keys inside": b'[{"b":{"a":1,"c":2,"a":3}}]',
    "fraction": b"[1.5]",
    "fraction of zero": b"1.0",
    "exponent": b'{"a":1e3}',
    "huge exponent": b"1e400",
    "21 digits": b"[100000000000000000000]",
    "minus and 21 digits": b"[-100000000000000000000]",
    "5,000 digits": b"9" * 5_000,
    "leading zero": b"007",
    "plus": b"+1",
    "hexadecimal": b"0x10",
    "underscore": b"1_000",
    "Arabic digits": "[\u0661]".encode(),
    "33 arrays": b"[" * 33 + b"]" * 33,
    "33 objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "33 mixed": b'[{"a":' * 17 + b"1" + b"}]" * 17,
    "100,000 arrays": b"[" * 100_000,
    "100,000 closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "a million objects": b'{"a":' * 1_000_000,
    "unusable number in params": b'{"id":1,"params":{"id":1.5}}',
    "unusable number beside an unusable id": b'{"id":1.5,"params":[1.5]}',
    "unusable id in an array in a batch": b'[[{"id":1.5}]]',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_unclear_text_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        decode(body, values_max=MANY)


def test_many_values_are_refused_before_they_are_built() -> None:
    body = b"[" + b"1," * 2_600_000 + b"1]"
    began = time.perf_counter()
    with pytest.raises(TooManyValues):
        decode(body, values_max=MANY)
    assert time.perf_counter() - began < 1


def test_limit_of_values_is_exact() -> None:
    assert decode(b"[1,1,1]", values_max=3) == [1, 1, 1]
    with pytest.raises(TooManyValues):
        decode(b"[1,1,1,1]", values_max=3)


@pytest.mark.parametrize("levels", [1, 31, 32])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_thirty_two_levels_are_read(levels: int, opening: bytes, closing: bytes) -> None:
    body = opening * levels + b"7" + closing * levels
    assert decode(body, values_max=MANY) == json.loads(body)


def test_brackets_in_strings_are_no_levels() -> None:
    body = b'["' + b"[{" * 1_000 + b'","\\"[[["]'
    assert decode(body, values_max=MANY) == json.loads(body)


def test_wide_is_not_deep() -> None:
    body = b"[" + b",".join([b'{"a":[]}'] * 1_000) + b"]"
    assert decode(body, values_max=MANY) == json.loads(body)


def test_integers_keep_every_digit() -> None:
    body = b"[99999999999999999999,-99999999999999999999,0,-0]"
    assert decode(body, values_max=MANY) == [10**20 - 1, 1 - 10**20, 0, 0]


@pytest.mark.parametrize("number", [b"1.5", b"1e400", b"9" * 21, b"9" * 5_000, b"-1E2"])
def test_unusable_number_as_id_is_left_to_the_dispatcher(number: bytes) -> None:
    single = decode(b'{"id":' + number + b',"a":1}', values_max=MANY)
    batch = decode(b'[{"id":1},{"id":' + number + b"}]", values_max=MANY)
    assert isinstance(single, dict)
    assert isinstance(batch, list)
    assert isinstance(single["id"], UnusableNumber)
    assert isinstance(batch[1]["id"], UnusableNumber)
    assert batch[0] == {"id": 1}


def test_half_of_a_surrogate_pair_is_read_but_is_no_text() -> None:
    value = decode(b'"\\ud800"', values_max=MANY)
    assert isinstance(value, str)
    assert not is_text(value)
    assert is_text("\U0001f600")
    assert decode(b'"\\ud83d\\ude00"', values_max=MANY) == "\U0001f600"


def test_message_does_not_repeat_the_text() -> None:
    with pytest.raises(NotJson) as caught:
        decode(b'{"secret" secret}', values_max=MANY)
    assert "secret" not in str(caught.value)


TEXT = st.text() | st.text(alphabet='[]{}"\\:,')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 10**20, 10**20 - 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_every_value_comes_back(value: object, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    try:
        expected = json.loads(body.decode())
    except UnicodeDecodeError:
        return
    assert decode(body, values_max=MANY) == expected


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        decode(body, values_max=MANY)
    except NotJson:
        pass
    else:
        json.loads(body)


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[" * 9_999 + b"]" * 9_999])
def test_high_recursion_limit_is_no_way_to_break_the_stack(body: bytes) -> None:
    """Libraries raise the limit; a parser that counts on it then crashes the process."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**9)
    try:
        for values_max in (10, MANY, 10**7):
            with pytest.raises(NotJson):
                decode(body, values_max=values_max)
    finally:
        sys.setrecursionlimit(limit)


@given(VALUES, st.integers(0, 40))
def test_levels_are_counted_exactly(value: object, more: int) -> None:
    def levels(inner: object) -> int:
        if isinstance(inner, dict):
            return 1 + max(map(levels, inner.values()), default=0)
        if isinstance(inner, list):
            return 1 + max(map(levels, inner), default=0)
        return 0

    body = b"[" * more + json.dumps(value).encode() + b"]" * more
    if levels(value) + more <= 32:
        decode(body, values_max=MANY)
    else:
        with pytest.raises(NotJson):
            decode(body, values_max=MANY)
