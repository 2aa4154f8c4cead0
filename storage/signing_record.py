"""The witness outside the database: what this authority is about to seal, on disk before it does.

One append-only file, locked while open, readable by its owner only:

    MAGIC, then records of
    length of payload   4 bytes, big-endian
    height              8 bytes, big-endian
    check of these 12   4 bytes: the first of SHA-256
    payload             opaque; the composition stores whole encoded blocks
    check               8 bytes: the first of SHA-256(the 16 bytes above, payload)
    end mark            4 bytes MARK

A crash in the middle of an append leaves a *torn tail*: the file ends inside the record, or on
some filesystems its last part is zeros. Such a record was never acknowledged, so no seal of it
left the process, and it is dropped. A record that was damaged later must not be mistaken for a
torn one, or the authority would seal a second block at that height; hence the separate check of
the length (a damaged length would swallow what follows) and the end mark, which a torn record
lacks and damage does not turn into zeros. In doubt: StorageDamaged, and the authority stays down.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from .directory import sync_directory
from .kv import StorageClosed, StorageDamaged, StorageError, StorageFailure, StorageRefused

MAGIC: Final = b"poolchain signing record 1\n"
MARK: Final = b"\xa5\x5a\xa5\x5a"
HEIGHT_MAX: Final = (1 << 64) - 1
PAYLOAD_BYTES_MAX: Final = 1 << 28
ROTATE_BYTES: Final = 16 << 20

_HEAD_BYTES: Final = 16
_TAIL_BYTES: Final = 12
_CHUNK_BYTES: Final = 1 << 20


class SigningRecordMissing(StorageRefused):
    """There is no file: right for a new authority only, which calls `create`."""


class SigningConflict(StorageError):
    """A height below the last one, or other bytes at the same height: never to be sealed."""


class Signed(NamedTuple):
    """The last thing that was written: its height and the bytes."""

    height: int
    payload: bytes


class SigningRecord:
    """An open, locked signing record; made by `create` and `open_existing`. Thread-safe."""

    __slots__ = ("_descriptor", "_end", "_failed", "_last", "_lock", "_path", "_rotate_bytes")

    def __init__(self, path: Path, descriptor: int, last: Signed | None, rotate_bytes: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._last = last
        self._end = rotate_bytes
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._failed: str | None = None

    def last(self) -> Signed | None:
        """Return what was written last, or None if nothing ever was."""
        return self._last

    def write(self, height: int, payload: bytes) -> None:
        """Put `payload` on the disk; when this returns it survives a power cut and may be sealed.

        `height` is that of the newest block in it. The same height with the same bytes again is
        already there and costs nothing. Raises SigningConflict, with nothing written, for a lower
        height or other bytes; StorageFailure for a disk error, and from then on always: what a
        failed append left behind is for the next opening to judge.
        """
        signed = checked(height, payload)
        with self._lock:
            self.require_alive()
            if self._descriptor < 0:
                raise StorageClosed(f"{self._path} is closed")
            if repeats(self._last, signed):
                return
            try:
                self._append(_encoded(signed))
            except OSError as error:
                self._failed = str(error)
                raise StorageFailure(f"{self._path} could not be written: {error}") from error
            self._last = signed

    def require_alive(self) -> None:
        """Raise StorageFailure after the first failed write; call before acknowledging."""
        if self._failed is not None:
            raise StorageFailure(f"{self._path} could not be written: {self._failed}")

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def renew(self) -> None:
        """Put the last record into a new file; raises OSError. Part of opening.

        This drops a torn tail, and it makes sure of the record itself: when an earlier process
        was told that a sync had failed, the kernel may still show bytes that no disk holds, and
        syncing them once more would not write them.
        """
        self._replace_file(_encoded(self._last) if self._last else b"")

    def _append(self, record: bytes) -> None:
        if self._end + len(record) > self._rotate_bytes:
            self._replace_file(record)
            return
        _write_all(self._descriptor, record)
        os.fdatasync(self._descriptor)
        self._end += len(record)

    def _replace_file(self, record: bytes) -> None:
        """Put a file that holds `record` and nothing else in the place of this one."""
        descriptor = _made_beside(self._path, MAGIC + record)
        try:
            # Locked before it has the name: the name is never without a lock.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _beside(self._path).replace(self._path)
            sync_directory(self._path.parent)
        except OSError:
            os.close(descriptor)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._end = len(MAGIC) + len(record)


def create(path: Path, *, rotate_bytes: int = ROTATE_BYTES) -> SigningRecord:
    """Make an empty signing record at `path`, where there must be nothing; raises StorageRefused.

    The file gets its name when it is complete, so a crash leaves no half-made one.
    """
    try:
        if os.path.lexists(path):
            raise StorageRefused(f"{path} exists: a signing record is never replaced")
        os.close(_made_beside(path, MAGIC))
        os.link(_beside(path), path, follow_symlinks=False)
        _beside(path).unlink()
        sync_directory(path.parent)
    except OSError as error:
        raise StorageRefused(f"{path} cannot be created: {error}") from error
    return open_existing(path, rotate_bytes=rotate_bytes)


def open_existing(path: Path, *, rotate_bytes: int = ROTATE_BYTES) -> SigningRecord:
    """Open and lock the signing record at `path`, drop a torn tail, and read the last record.

    Every record in the file is checked. Raises SigningRecordMissing; StorageRefused for a
    symbolic link, rights for group or others, or a second holder; StorageDamaged.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise SigningRecordMissing(f"there is no signing record at {path}") from error
    except OSError as error:
        raise StorageRefused(f"{path} cannot be opened: {error}") from error
    try:
        _lock_private_file(path, descriptor)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            last = _scanned(path, file, os.fstat(descriptor).st_size)
        record = SigningRecord(path, descriptor, last, rotate_bytes)
        record.renew()
    except OSError as error:
        os.close(descriptor)
        raise StorageRefused(f"{path} cannot be opened: {error}") from error
    except StorageError:
        os.close(descriptor)
        raise
    return record


def checked(height: int, payload: bytes) -> Signed:
    """Return both together; raises ValueError if the file could not express them."""
    if not 0 <= height <= HEIGHT_MAX or len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"out of range: height {height} or {len(payload)} bytes of payload")
    return Signed(height, payload)


def repeats(last: Signed | None, signed: Signed) -> bool:
    """Whether `signed` was written last; raises SigningConflict unless it was or is higher."""
    if last is None or signed.height > last.height:
        return False
    if signed == last:
        return True
    raise SigningConflict(f"refused to sign height {signed.height} over height {last.height}, which was signed")


def _lock_private_file(path: Path, descriptor: int) -> None:
    """Lock the open file; raises StorageRefused unless it is ours alone in every sense."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StorageRefused(f"{path} is not a regular file")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise StorageRefused(f"{path} gives rights to group or others: chmod 600 is expected")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageRefused(f"{path} is in use: a node, or another command, is running on it") from error
    # Its holder may have replaced the file between our opening it and our locking it.
    if not os.path.samestat(path.lstat(), status):
        raise StorageRefused(f"{path} is in use by another process: it was replaced just now")


def _scanned(path: Path, file: BinaryIO, size: int) -> Signed | None:
    """Check every record from the start and return the last; raises StorageDamaged."""
    if file.read(len(MAGIC)) != MAGIC:
        raise StorageDamaged(f"{path} is not a signing record of version 1")
    last: Signed | None = None
    end = len(MAGIC)
    while end < size:
        try:
            signed = _read_record(file, size - end)
        except ValueError as error:
            raise StorageDamaged(f"{path} is damaged at byte {end}: {error}") from error
        if signed is None:
            return last  # a torn tail
        if last is not None and signed.height <= last.height:
            raise StorageDamaged(f"{path} is damaged at byte {end}: heights do not rise")
        last = signed
        end += _HEAD_BYTES + len(signed.payload) + _TAIL_BYTES
    return last


def _read_record(file: BinaryIO, available: int) -> Signed | None:
    """Return the record that starts here, or None for a torn tail; raises ValueError for damage."""
    head = file.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES:
        return None
    length, height = int.from_bytes(head[:4]), int.from_bytes(head[4:12])
    if head[12:] != _head_check(head[:12]):
        if head[-1] == 0 and _only_zeros_follow(file):
            return None
        raise ValueError("the head of a record does not match its checksum")
    if available < _HEAD_BYTES + length + _TAIL_BYTES:
        return None
    payload = file.read(length)
    tail = file.read(_TAIL_BYTES)
    if tail[:8] == _record_check(head, payload):
        return Signed(height, payload)
    if tail[8:] == bytes(len(MARK)) and _only_zeros_follow(file):
        return None
    raise ValueError("a record does not match its checksum")


def _only_zeros_follow(file: BinaryIO) -> bool:
    while chunk := file.read(_CHUNK_BYTES):
        if chunk.strip(b"\0"):
            return False
    return True


def _encoded(signed: Signed) -> bytes:
    head = len(signed.payload).to_bytes(4) + signed.height.to_bytes(8)
    head += _head_check(head)
    return b"".join((head, signed.payload, _record_check(head, signed.payload), MARK))


def _head_check(head: bytes) -> bytes:
    return sha256(head).digest()[:4]


def _record_check(head: bytes, payload: bytes) -> bytes:
    digest = sha256(head)
    digest.update(payload)
    return digest.digest()[:8]


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _made_beside(path: Path, content: bytes) -> int:
    """Make a synced file with `content` next to `path` and return its open descriptor."""
    beside = _beside(path)
    beside.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(beside, flags, 0o600)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: the kernel takes a part of them when the disk is nearly full."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
