"""What a viewer has promised from one pool: the file that keeps it from over-signing and being slashed.

One file and one lock for each pool, over all targets. A new total is on disk before anything is signed, so a crash may
overstate what was promised and never understate it; a second process cannot open the file. The sum of the highest
totals ever promised never exceeds the deposit, and with that no order of settlements can overspend the pool.

The file is lines of text behind a header line: `target tgtSeq total checksum`, appended and synced; a target's last
line counts. A total may be reserved ahead of what is signed, so that one sync serves many payments; what was reserved
and certainly not signed can be given free again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .payment import Promise

_HEADER = "poolchain-payer-ledger 1"


class LedgerRefused(Exception):
    """The ledger cannot be used: another process has it, it is damaged, or it is of another pool."""


class LedgerInUse(LedgerRefused):
    """Another process has it."""


class DepositExhausted(Exception):
    """A promise would take the sum above the deposit: signing it would cost the collateral."""


@dataclass(slots=True)
class _Line:
    """One target's promises so far."""

    reserved: int = 0
    """The total that is on disk: what may be signed."""
    signed: int = 0
    """The highest total that was handed out to be signed since the file was opened, at least what was before."""
    tgt_seq: int = 1
    signed_max: int = 0
    """The highest total that may ever have been signed: below `reserved` only where this process knows it."""


class PayerLedger:
    """The open ledger of one pool. Not thread-safe: one task owns it."""

    def __init__(self, path: Path, chain: str, deposit: int, *, reserve_ahead: int = 0) -> None:
        """Open or begin the ledger of a pool; `chain` names chain and pool, `deposit` is in base units.

        `reserve_ahead` base units are reserved beyond a new total, where the deposit has them: the next promises up to
        there need no sync. Raises LedgerRefused.
        """
        self._deposit = deposit
        self._reserve_ahead = reserve_ahead
        self._lines: dict[bytes, _Line] = {}
        self._is_broken = False
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerRefused(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load(path, chain)
        except BlockingIOError as error:
            os.close(self._file)
            raise LedgerInUse(f"{path} is in use: another process pays from this pool") from error
        except (LedgerRefused, OSError):
            os.close(self._file)
            raise

    @classmethod
    def of_pool(
        cls, folder: Path, genesis_hash: bytes, cptx_hash: bytes, *, deposit: int, reserve_ahead: int = 0
    ) -> Self:
        """Open or begin the one ledger that a pool has below a folder; raises LedgerRefused and OSError."""
        path = ledger_path(folder, genesis_hash, cptx_hash)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(path, f"{genesis_hash.hex()}:{cptx_hash.hex()}", deposit, reserve_ahead=reserve_ahead)

    def __enter__(self) -> Self:
        """Hold the lock."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock up."""
        self.close()

    @property
    def promised(self) -> int:
        """The sum over all targets of what was, or may have been, promised."""
        return sum(line.reserved for line in self._lines.values())

    @property
    def left(self) -> int:
        """What can still be promised, in base units."""
        return self._deposit - self.promised

    def targets(self) -> list[bytes]:
        """Return who may hold a payment from this pool."""
        return [*self._lines]

    def total(self, target: bytes) -> int:
        """Return the highest total that is known to have been promised to a target."""
        line = self._lines.get(target)
        return line.signed if line else 0

    def promised_to(self, target: bytes) -> int:
        """Return the highest total that was, or may have been, promised to a target."""
        line = self._lines.get(target)
        return line.reserved if line else 0

    def resume(self, target: bytes, total: int) -> None:
        """Learn from a target's last payment, whose signature is this payer's own, how much was promised."""
        line = self._lines.get(target)
        if line is None or total > line.reserved:
            raise LedgerRefused("a payment of this payer is not in the ledger: another one was used for this pool")
        line.signed = max(line.signed, total)

    def promise(self, cptx_hash: bytes, target: bytes, total: int, tgt_seq: int) -> Promise:
        """Return the promise of a total to a target, which may be signed now: it is on disk.

        The same or a lower total than before gives the promise of the earlier total: on any doubt the same payment is
        sent again. Raises DepositExhausted, and changes nothing then; OSError, and nothing can be promised any more.
        """
        line = self._lines.get(target) or _Line()
        total = max(total, line.signed)
        if total > line.reserved and total - line.reserved > self.left:
            self.release()
        if total > line.reserved:
            self._reserve(target, line, total, max(tgt_seq, line.tgt_seq))
        elif tgt_seq > line.tgt_seq:
            self._reserve(target, line, line.reserved, tgt_seq)
        line.signed, line.signed_max = total, max(total, line.signed_max)
        return Promise(target, total, cptx_hash, max(tgt_seq, line.tgt_seq))

    def release(self) -> None:
        """Free what was reserved and certainly not signed."""
        for target, line in self._lines.items():
            if line.signed_max < line.reserved:
                self._append(f"{target.hex()} {line.tgt_seq} {line.signed_max}")
                line.reserved = line.signed_max

    def close(self) -> None:
        """Free what was not signed, and give the lock up."""
        if self._file >= 0:
            if not self._is_broken:
                with contextlib.suppress(OSError):
                    self.release()
            os.close(self._file)
            self._file = -1

    def _reserve(self, target: bytes, line: _Line, total: int, tgt_seq: int) -> None:
        """Put a new total on disk, and a little more where there is room."""
        room = self.left - (total - line.reserved)
        if room < 0:
            raise DepositExhausted(f"{total - line.reserved} more would exceed the deposit by {-room}")
        reserved = total + min(self._reserve_ahead, room) if total > line.reserved else total
        self._append(f"{target.hex()} {tgt_seq} {reserved}")
        line.reserved, line.tgt_seq = reserved, tgt_seq
        self._lines[target] = line

    def _append(self, text: str) -> None:
        """Write a line and wait for the disk; after a failure nobody knows what is there, and nothing goes on."""
        if self._is_broken:
            raise OSError(errno.EIO, "the ledger could not be written before")
        data = f"{text} {zlib.crc32(text.encode()):08x}\n".encode()
        self._is_broken = True
        if os.write(self._file, data) != len(data):
            raise OSError(errno.ENOSPC, "the ledger was not written whole")
        os.fdatasync(self._file)
        self._is_broken = False

    def _load(self, path: Path, chain: str) -> None:
        """Read what was promised; a torn last line was never answered for and is cut off."""
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) != len(content):
            os.ftruncate(self._file, len(whole))
        lines = whole.decode("ascii", "replace").splitlines()
        if not lines:
            self._append(f"{_HEADER} {chain}")
            _sync_directory(path.parent)
            return
        head, *rest = [self._checked(path, line) for line in lines]
        if head != f"{_HEADER} {chain}":
            raise LedgerRefused(f"{path} is the ledger of another pool or chain")
        for text in rest:
            target, tgt_seq, total = text.split(" ")
            line = self._lines.setdefault(bytes.fromhex(target), _Line())
            # All that was reserved may have been signed; how much of it was, the target's last payment shows.
            line.reserved = line.signed_max = int(total)
            line.tgt_seq = max(line.tgt_seq, int(tgt_seq))

    @staticmethod
    def _checked(path: Path, line: str) -> str:
        text, _, checksum = line.rpartition(" ")
        if checksum != f"{zlib.crc32(text.encode('ascii', 'replace')):08x}":
            raise LedgerRefused(f"{path} is damaged: never pay from this pool again before it expires")
        return text


def ledger_path(folder: Path, genesis_hash: bytes, cptx_hash: bytes) -> Path:
    """Return where below a folder the ledger of a pool is."""
    return folder / f"0x{genesis_hash.hex()}" / f"0x{cptx_hash.hex()}.ledger"


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
