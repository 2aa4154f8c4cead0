"""SHA-256 of many messages, of a row of nodes, of runs of leaves, and of the top of a tree, one call of hashlib a hash.

This says what `crypto.bulk_hashes` gives; where the rooms are compiled, `_quick_hashes.c` gives the same sooner.
"""

from __future__ import annotations

from hashlib import sha256
from mmap import mmap
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


def roots_of_runs(runs: list[bytes]) -> list[bytes]:
    """Return for each run of entries the root of the crit-bit tree (`crypto.state_proof`) over them.

    An entry is key || SHA-256 of the record. Raises ValueError for a run of no entries, and for one whose keys do not
    ascend strictly.
    """
    return [_root_of_run(run) for run in runs]


def rehash(cells: mmap, nodes: list[int], stop: int) -> list[int]:
    """Hash anew, in place, the cells above nodes of one depth, up to the depth `stop`; return the nodes there, sorted.

    A *node* is a prefix of a key with a one in front of it: 1 is the root, 2n and 2n + 1 are the halves of n. `cells`
    has the hash of node n at n * 32, zeros for nothing. Raises ValueError for nodes of several depths or outside
    `cells`, and for a depth below 0.
    """
    if stop < 0:
        raise ValueError("expected a depth from 0 on")
    nodes = sorted(set(nodes))
    if not nodes:
        return []
    if nodes[0] < 1 or nodes[0].bit_length() != nodes[-1].bit_length() or (nodes[-1] | 1) >= len(cells) // HASH_BYTES:
        raise ValueError("expected nodes of one depth, within the cells")
    while nodes[0] >> stop > 1:
        nodes = list(dict.fromkeys([node >> 1 for node in nodes]))
        tag = bytes((1, nodes[0].bit_length() - 1))
        for node in nodes:
            cells[node * HASH_BYTES : (node + 1) * HASH_BYTES] = _join(tag, cells[node * _PAIR : (node + 1) * _PAIR])
    return nodes


def _join(tag: bytes, pair: bytes) -> bytes:
    if pair[0] and pair[HASH_BYTES]:  # neither is empty, which this finds in all but a few cases
        return sha256(tag + pair).digest()
    left, right = pair[:HASH_BYTES], pair[HASH_BYTES:]
    return right if left == _EMPTY else left if right == _EMPTY else sha256(tag + pair).digest()


def _root_of_run(entries: bytes) -> bytes:
    if not entries or len(entries) % ENTRY_BYTES:
        raise ValueError("expected one or more entries of 64 bytes")
    keys = [entries[at : at + HASH_BYTES] for at in range(0, len(entries), ENTRY_BYTES)]
    if not all(map(lt, keys, keys[1:])):
        raise ValueError("keys are not in strictly ascending order")
    return _root(entries, 0, len(entries))


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
