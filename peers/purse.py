"""One pool as its creator pays from it: ledger, key and what has been lost to peers that took and did not give."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.signature import SigningKey

from .payer_ledger import PayerLedger
from .payment import BadPayment, Payment

_LINES_MAX: Final = 100_000


class Distrust:
    """Peers that cheated, never to be paid again, and what each pool has lost: lines of JSON beside the ledgers."""

    def __init__(self, path: Path) -> None:
        """Read the file where it exists; lines that cannot be read are left out."""
        self._path = path
        self._banned: set[str] = set()
        self._lost: dict[str, int] = {}
        self._past: dict[tuple[str, str], Past] = {}
        text = path.read_text("utf-8", "replace") if path.exists() else ""
        self._is_torn = bool(text) and not text.endswith("\n")
        for line in text.splitlines()[-_LINES_MAX:]:
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue

    def is_banned(self, *names: str) -> bool:
        """Tell whether one of these urls or addresses has cheated."""
        return any(name.lower() in self._banned for name in names)

    def lost(self, cptx_hash: bytes) -> int:
        """Return what was lost in a pool, in base units."""
        return self._lost.get(cptx_hash.hex(), 0)

    def past(self, cptx_hash: bytes, target: bytes) -> Past:
        """Return what a peer has had from a pool before."""
        return self._past.get((cptx_hash.hex(), checksum_address(target)), Past())

    def note(self, purse: Purse, url: str, target: bytes, verdict: Verdict, debt: int) -> None:
        """Remember a loss, and with `cheat` that this peer is never paid again. Waits for the disk.

        `debt` is what the peer has had from this pool and not given, in all.
        """
        found = {
            "url": url,
            "target": checksum_address(target),
            "pool": purse.cptx_hash.hex(),
            "lost": verdict.lost,
            "debt": debt,
            "promised": purse.ledger.total(target),
            "cheat": verdict.cheat,
            "reason": verdict.reason,
        }
        self._take(found)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._is_torn + json.dumps(found) + "\n")
            file.flush()
            os.fdatasync(file.fileno())
        self._is_torn = False

    def _take(self, found: dict[str, Any]) -> None:
        if found["cheat"]:
            self._banned |= {found["url"].lower(), found["target"].lower()}
        self._lost[found["pool"]] = self._lost.get(found["pool"], 0) + int(found["lost"])
        peer = (found["pool"], found["target"])
        promised = max(self._past.get(peer, Past()).promised, int(found["promised"]))
        self._past[peer] = Past(int(found["debt"]), promised)


class Past(NamedTuple):
    """What a peer has had from a pool before this purchase. Amounts in base units."""

    debt: int = 0
    """What it has had and not given."""
    promised: int = 0
    """The total that was signed to it when it was left: a request that never reached it may be all that was lost."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a peer is not used any more."""

    reason: str
    lost: int = 0
    """What was promised to it and not received, in base units."""
    cheat: bool = False


@dataclass(frozen=True, slots=True)
class Purse:
    """An open pool that this process may pay from."""

    cptx_hash: bytes
    deposit: int
    ledger: PayerLedger
    key: SigningKey
    domain: Domain

    def pay(self, target: bytes, total: int, tgt_seq: int) -> Payment:
        """Sign a total, on disk before; the same or a lower one again gives the same payment.

        Raises DepositExhausted and OSError.
        """
        return Payment.sign(self.ledger.promise(self.cptx_hash, target, total, tgt_seq), self.key, self.domain)

    def believe(self, target: bytes, last_payment: object) -> int:
        """Return the total of a payment that a target shows, 0 unless this pool's creator signed it to that target.

        Raises LedgerRefused when the payment is ours and the ledger does not know it: then another ledger was used.
        """
        if not isinstance(last_payment, str) or not last_payment.startswith("0x"):
            return 0
        try:
            payment = Payment.decode(bytes.fromhex(last_payment[2:]))
            promise = payment.promise
            ours = (promise.target, promise.cptx_hash) == (target, self.cptx_hash)
            if not ours or payment.signer(self.domain) != self.key.address:
                return 0
        except (BadPayment, ValueError):
            return 0
        self.ledger.resume(target, promise.amount)
        return promise.amount
