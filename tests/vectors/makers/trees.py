"""RFC 9162 trees by the RFC's own recursion, and everything that is wrong with a path."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from tests.model.encoding import merkle_root

from .form import Case, VectorFile, counting, invalid, paragraphs, text, texts, valid

# Entries and the root of all eight in the Certificate Transparency test suite.
CT_ENTRIES = [
    *map(bytes.fromhex, ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")),
    bytes(range(0x60, 0x70)),
]
CT_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33, 100)
TOO_LONG, TOO_SHORT = "the path is too long", "the path is too short"
ELSEWHERE, NOT_THERE = "the path does not lead to the root", "the index is not below the size"
ORDER, TRIVIAL = "the first size is above the second", "the path of equal or empty trees is empty"
DIFFERENT, NOT_EMPTY = "the roots of equal sizes differ", "the smaller root is not the empty tree's"


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH of section 2.1.3.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*inclusion(index, entries[:k]), merkle_root(entries[k:])]
    return [*inclusion(index - k, entries[k:]), merkle_root(entries[:k])]


def consistency(first: int, entries: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF of section 2.1.4.1; nothing for the empty tree."""
    if first in (0, len(entries)):
        return [] if whole else [merkle_root(entries)]
    k = split(len(entries))
    if first <= k:
        return [*consistency(first, entries[:k], whole=whole), merkle_root(entries[k:])]
    return [*consistency(first - k, entries[k:], whole=False), merkle_root(entries[:k])]


class Included(NamedTuple):
    """One inclusion proof."""

    root: bytes
    size: int
    at: int
    entry: bytes
    path: list[bytes]

    def given(self) -> Case:
        return {
            "root": text(self.root),
            "size": hex(self.size),
            "index": hex(self.at),
            "entry": text(self.entry),
            "path": texts(self.path),
        }


class Consistent(NamedTuple):
    """One consistency proof."""

    first_root: bytes
    first_size: int
    second_root: bytes
    second_size: int
    path: list[bytes]

    def given(self) -> Case:
        return {
            "firstRoot": text(self.first_root),
            "firstSize": hex(self.first_size),
            "secondRoot": text(self.second_root),
            "secondSize": hex(self.second_size),
            "path": texts(self.path),
        }


def merkle_files() -> list[VectorFile]:
    assert merkle_root(CT_ENTRIES).hex() == CT_ROOT
    entries = [counting(length) for length in range(100)]
    return [
        VectorFile(
            "merkle",
            "Merkle trees of RFC 9162 section 2.1 over SHA-256: txRoot, receiptsRoot, historyRoot (section 1).",
            paragraphs(
                """
                kind root: expected.root is the tree hash of input.entries; leaf SHA-256(0x00 || entry), node
                SHA-256(0x01 || left || right), empty tree SHA-256 of nothing.

                kind inclusion: input.path proves that input.entry is leaf input.index, counted from 0, of the tree
                with input.size leaves and input.root. The path runs from the leaf upward.

                kind consistency: input.path proves that the first tree is the beginning of the second one. Between
                equal sizes and from size 0 it is empty, and the verifier compares the roots, or the first with the
                empty tree's.

                BAD_PROOF: a verifier must refuse it. WRONG_ROOT: input.root is not the tree hash of the entries.
                """
            ),
            [*roots(entries), *inclusions(entries), *consistencies(entries)],
        )
    ]


def inclusions(entries: Sequence[bytes]) -> list[Case]:
    cases = []
    for size, index in (
        (1, 0),
        (2, 0),
        (2, 1),
        (3, 2),
        (7, 3),
        (8, 7),
        (9, 8),
        (17, 5),
        (100, 0),
        (100, 63),
        (100, 99),
    ):
        proof = Included(merkle_root(entries[:size]), size, index, entries[index], inclusion(index, entries[:size]))
        name = f"inclusion {index} of {size}"
        cases.append(valid("inclusion", name, proof.given(), {"valid": True}))
        cases += [
            invalid("inclusion", f"{name}: {what}", bad.given(), "BAD_PROOF", why) for what, bad, why in spoil(proof)
        ]
    return cases


def consistencies(entries: Sequence[bytes]) -> list[Case]:
    cases = []
    for first, second in (
        (0, 0),
        (0, 5),
        (5, 5),
        (1, 2),
        (2, 4),
        (3, 7),
        (4, 7),
        (6, 8),
        (7, 8),
        (8, 9),
        (33, 100),
        (64, 100),
    ):
        roots_of = merkle_root(entries[:first]), merkle_root(entries[:second])
        link = Consistent(roots_of[0], first, roots_of[1], second, consistency(first, entries[:second]))
        name = f"consistency {first} to {second}"
        cases.append(valid("consistency", name, link.given(), {"valid": True}))
        cases += [
            invalid("consistency", f"{name}: {what}", bad.given(), "BAD_PROOF", why) for what, bad, why in unlink(link)
        ]
    return cases


def roots(entries: Sequence[bytes]) -> list[Case]:
    found = []
    for name, chosen in [
        *((f"{size} entries", list(entries[:size])) for size in SIZES),
        ("the entries of Certificate Transparency's tests", CT_ENTRIES),
        ("one empty entry", [b""]),
        ("equal entries", [b"x"] * 5),
    ]:
        given = {"entries": texts(chosen)}
        found.append(valid("root", f"root of {name}", given, {"root": text(merkle_root(chosen))}))
        if 2 < len(chosen) < 10:
            found += [
                invalid("root", f"root of {name}: {what}", {**given, "root": text(wrong)}, "WRONG_ROOT", why)
                for what, wrong, why in wrong_roots(chosen)
            ]
    return found


def wrong_roots(entries: Sequence[bytes]) -> list[tuple[str, bytes, str]]:
    def untagged(part: Sequence[bytes]) -> bytes:
        if len(part) == 1:
            return sha256(part[0]).digest()
        return sha256(untagged(part[: split(len(part))]) + untagged(part[split(len(part)) :])).digest()

    def doubled(level: list[bytes]) -> bytes:
        while len(level) > 1:
            level += level[-1:] * (len(level) % 2)
            level = [node(level[at], level[at + 1]) for at in range(0, len(level), 2)]
        return level[0]

    found = [("without prefixes", untagged(entries), "leaves begin with 0x00 and nodes with 0x01")]
    if len(entries) & (len(entries) - 1):
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        found.append(("last node doubled", doubled(leaves), "a last node without a partner moves up as it is"))
    return found


def spoil(proof: Included) -> list[tuple[str, Included, str]]:
    path, size, index = proof.path, proof.size, proof.at
    # A path that is too long for a tree is found before the root is compared.
    found = [
        ("another root", proof._replace(root=sha256(proof.root).digest()), ELSEWHERE),
        ("another entry", proof._replace(entry=proof.entry + b"\x00"), ELSEWHERE),
        ("path with one more", proof._replace(path=[*path, bytes(32)]), TOO_LONG),
        ("index as large as the size", proof._replace(at=size), NOT_THERE),
        ("index far above", proof._replace(at=size + 2**40), NOT_THERE),
        ("tree without leaves", proof._replace(size=0, at=0), NOT_THERE),
    ]
    if path:
        found += [
            ("path cut at its end", proof._replace(path=path[:-1]), TOO_SHORT),
            ("empty path", proof._replace(path=[]), TOO_SHORT),
            ("first sibling changed", proof._replace(path=[flip(path[0]), *path[1:]]), ELSEWHERE),
            ("last sibling changed", proof._replace(path=[*path[:-1], flip(path[-1])]), ELSEWHERE),
        ]
    if len(path) > 1 and path[0] != path[-1]:
        found.append(("path reversed", proof._replace(path=path[::-1]), ELSEWHERE))
    if size > 2 and size & (size - 1) == 0:
        found.append(("the neighbour's index", proof._replace(at=index ^ 1), ELSEWHERE))
    return found


def unlink(link: Consistent) -> list[tuple[str, Consistent, str]]:
    first, second, path = link.first_size, link.second_size, link.path
    other = sha256(link.second_root).digest()
    if first in (0, second):
        found = [("path with one hash", link._replace(path=[bytes(32)]), TRIVIAL)]
        if first == second and first:
            found.append(("different roots", link._replace(second_root=other), DIFFERENT))
        if not first:
            found.append(("first root not the empty tree's", link._replace(first_root=other), NOT_EMPTY))
        found.append(("sizes the wrong way round", link._replace(first_size=second + 1), ORDER))
        return found
    swapped = link._replace(
        first_size=second, second_size=first, first_root=link.second_root, second_root=link.first_root
    )
    found = [
        ("another first root", link._replace(first_root=sha256(link.first_root).digest()), ELSEWHERE),
        ("another second root", link._replace(second_root=other), ELSEWHERE),
        ("the roots exchanged", link._replace(first_root=link.second_root, second_root=link.first_root), ELSEWHERE),
        ("last hash changed", link._replace(path=[*path[:-1], flip(path[-1])]), ELSEWHERE),
        ("empty path", link._replace(path=[]), TOO_SHORT),
        ("path with one more", link._replace(path=[*path, bytes(32)]), TOO_LONG),
        ("sizes the wrong way round", swapped, ORDER),
        ("the same size twice", link._replace(first_size=second), TRIVIAL),
        ("said to begin with nothing", link._replace(first_size=0), TRIVIAL),
    ]
    if len(path) > 1:
        found.append(("path cut at its end", link._replace(path=path[:-1]), TOO_SHORT))
    return found


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]
