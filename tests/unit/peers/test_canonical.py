"""RFC 8785 as far as indices need it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.canonical import canonical_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcXYZ09_"), inner),
)


def test_members_are_sorted_and_only_what_must_be_is_escaped() -> None:
    value = {"b": 1, "a": 'é"\\\n\u001f/\u20ac', "B": [True, None]}
    assert canonical_json(value) == '{"B":[true,null],"a":"é\\"\\\\\\n\\u001f/€","b":1}'.encode()


@given(VALUES)
def test_every_value_has_one_spelling(value: Any) -> None:
    written = canonical_json(value)
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_of_json_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json([value])


def test_a_lone_surrogate_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical_json("\ud800")
