"""Blocks as they are exported, recorded and sent: header, seal and raw transactions; stored in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crypto.merkle import root

from .header import HEADER_BYTES, Header, MalformedHeader

_LENGTH: Final = 4


class MalformedBlock(ValueError):
    """Bytes are not the one encoding of a block."""


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """A header and the engine's seal on its hash: what a block is without its transactions."""

    header: Header
    seal: bytes | None
    """As in a block."""

    def encode(self) -> bytes:
        """Return header (320) || seal length (4) || seal."""
        seal = self.seal or b""
        return self.header.encode() + _number(len(seal)) + seal

    @classmethod
    def decode(cls, data: bytes) -> SealedHeader:
        """Return the sealed header of these bytes; raises MalformedBlock."""
        reader = _Reader(data)
        found = reader.take_sealed_header()
        reader.expect_end()
        return found


@dataclass(frozen=True, slots=True)
class Block:
    """A header with the transactions that its txRoot is over, and the engine's seal on its hash."""

    header: Header
    transactions: tuple[bytes, ...]
    seal: bytes | None
    """What the engine can verify about the block's hash; None for block 0 and before sealing."""

    @property
    def sealed_header(self) -> SealedHeader:
        """The block without its transactions."""
        return SealedHeader(self.header, self.seal)

    def encode(self) -> bytes:
        """Return the sealed header || the transactions."""
        return self.sealed_header.encode() + self.encode_transactions()

    def encode_transactions(self) -> bytes:
        """Return transaction count (4) || (length (4) || raw) each."""
        parts = [_number(len(self.transactions))]
        for raw in self.transactions:
            parts += (_number(len(raw)), raw)
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """Return the block of these bytes; raises MalformedBlock."""
        reader = _Reader(data)
        sealed = reader.take_sealed_header()
        transactions = reader.take_all_counted()
        reader.expect_end()
        return cls(sealed.header, transactions, sealed.seal)

    def sealed(self, seal: bytes) -> Block:
        """Return this block with its seal."""
        return Block(self.header, self.transactions, seal)

    def body_bytes(self) -> int:
        """Return the bytes that count against maxBlockBytes: the raw transactions."""
        return sum(map(len, self.transactions))

    def tx_root(self) -> bytes:
        """Return the RFC 9162 root over the raw transactions."""
        return root(self.transactions)


class _Reader:
    """Takes bytes off the front and refuses to go past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise MalformedBlock(f"expected {count} more bytes, given {len(self._data) - self._at}")
        found, self._at = self._data[self._at : end], end
        return found

    def take_number(self) -> int:
        return int.from_bytes(self.take(_LENGTH), "big")

    def take_sealed_header(self) -> SealedHeader:
        try:
            header = Header.decode(self.take(HEADER_BYTES))
        except MalformedHeader as error:
            raise MalformedBlock(str(error)) from error
        return SealedHeader(header, self.take(self.take_number()) or None)

    def take_all_counted(self) -> tuple[bytes, ...]:
        """Take a number, then so many counted byte strings: the one loop here that is long."""
        data, at, found = self._data, self._at + _LENGTH, []
        for _ in range(self.take_number()):
            start = at + _LENGTH
            at = start + int.from_bytes(data[at:start], "big")
            if at > len(data):
                raise MalformedBlock(f"expected {at - len(data)} more bytes")
            found.append(data[start:at])
        self._at = at
        return tuple(found)

    def expect_end(self) -> None:
        if self._at != len(self._data):
            raise MalformedBlock(f"{len(self._data) - self._at} bytes too many")


def _number(value: int) -> bytes:
    return value.to_bytes(_LENGTH, "big")
