"""SHA-256 of many messages, of a row of nodes, and of a run of leaves, one call of hashlib for each hash.

This says what `crypto.bulk_hashes` gives; where the rooms are compiled, `_quick_hashes.c` gives the same sooner.
"""

from __future__ import annotations

from hashlib import sha256
from operator import lt
from typing import Final

from .state_proof import HASH_BYTES, KEY_BITS, branch_hash, leaf_hash

ENTRY_BYTES: Final = 2 * HASH_BYTES
_EMPTY: Final = bytes(HASH_BYTES)
_PAIR: Final = 2 * HASH_BYTES
_TAG_BYTES_MAX: Final = 2


def hash_each(messages: list[bytes]) -> list[bytes]:
    """Return the 32-byte SHA-256 of each message, in their order."""
    return [sha256(message).digest() for message in messages]


def join_pairs(tag: bytes, hashes: bytes) -> bytes:
    """Return SHA-256(tag || left || right) of each pair in a row of hashes, as a row of half as many.

    A hash of 32 zeros stands for nothing: a pair with such a half is its other half. Raises ValueError for a row that
    is not one of pairs, and for a tag of more than two bytes.
    """
    if len(hashes) % _PAIR or len(tag) > _TAG_BYTES_MAX:
        raise ValueError("expected a tag of at most two bytes and pairs of hashes")
    pairs = [hashes[at : at + _PAIR] for at in range(0, len(hashes), _PAIR)]
    return b"".join([_join(tag, pair) for pair in pairs])


def root_of_entries(entries: bytes) -> bytes:
    """Return the root of the crit-bit tree (`crypto.state_proof`) over entries in strictly ascending order of keys.

    An entry is key || SHA-256 of the record. Raises ValueError for no entries, and for any other order.
    """
    if not entries or len(entries) % ENTRY_BYTES:
        raise ValueError("expected one or more entries of 64 bytes")
    keys = [entries[at : at + HASH_BYTES] for at in range(0, len(entries), ENTRY_BYTES)]
    if not all(map(lt, keys, keys[1:])):
        raise ValueError("keys are not in strictly ascending order")
    return _root(entries, 0, len(entries))


def _join(tag: bytes, pair: bytes) -> bytes:
    if pair[0] and pair[HASH_BYTES]:  # neither is empty, which this finds in all but a few cases
        return sha256(tag + pair).digest()
    left, right = pair[:HASH_BYTES], pair[HASH_BYTES:]
    return right if left == _EMPTY else left if right == _EMPTY else sha256(tag + pair).digest()


def _root(entries: bytes, start: int, end: int) -> bytes:
    """Root of the entries from `start` to `end`."""
    middle = start + ENTRY_BYTES
    if middle == end:
        return leaf_hash(entries[start : start + HASH_BYTES], entries[start + HASH_BYTES : end])
    last = end - ENTRY_BYTES
    first_key = int.from_bytes(entries[start : start + HASH_BYTES], "big")
    last_key = int.from_bytes(entries[last : last + HASH_BYTES], "big")
    bit = KEY_BITS - (first_key ^ last_key).bit_length()
    byte, mask = bit >> 3, 0x80 >> (bit & 7)
    while not entries[middle + byte] & mask:  # the last one has it
        middle += ENTRY_BYTES
    return branch_hash(bit, _root(entries, start, middle), _root(entries, middle, end))
