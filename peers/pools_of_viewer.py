"""The pools that a viewer has made: created with the protocol's defaults, found again, and opened by one process.

For each pool there are two files, made before its CreatePool is submitted: what it is, and the ledger of what was
promised from it. A pool without its ledger is never paid from.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.signature import SIGNATURE_BYTES, SigningKey
from ledger.records import PoolStatus
from txtypes.create_pool import CREATE_POOL
from txtypes.wire import SIGNATURE, encode

from .chain_link import Parameters, ProvenRecords
from .node_rpc import NodeRefused
from .payer_ledger import LedgerInUse, LedgerRefused, PayerLedger, ledger_path
from .purse import Purse

REWARDED_FEES: Final = 10
"""By default a report of a double spend earns ten minimum fees besides the genesis reward."""
MARGIN_BLOCKS: Final = 60
"""A pool with fewer blocks left is not begun with: cachers would refuse it."""
RESERVED_CHUNKS: Final = 32
"""For so many chunks the ledger waits for the disk once..."""
RESERVED_SHARE: Final = 64
"""... but never more than this part of the deposit, which after a crash counts as promised."""
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.05
Json = dict[str, Any]
_REFUSED: Final = frozenset(
    {
        "FEE_TOO_LOW",
        "ZERO_AMOUNT",
        "COLLATERAL_TOO_LOW",
        "BAD_DURATION",
        "BAD_NONCE",
        "NONCE_GAP",
        "INSUFFICIENT_BALANCE",
        "REPLACEMENT_UNDERPRICED",
        "MEMPOOL_FULL",
    }
)
"""A CreatePool that is refused so is in no mempool: nothing is left of it, and it is not submitted again."""


class Caller(Protocol):
    """JSON-RPC to a node."""

    async def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return a result; raises NodeAway and NodeRefused."""
        ...


class Chain(Protocol):
    """What a viewer needs of a chain: `chain_link.ChainLink` is one."""

    @property
    def rpc(self) -> Caller:
        """Calls to its node."""
        ...

    @property
    def domain(self) -> Domain:
        """Where its signatures are valid."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Its interval, fee and reward."""
        ...

    @property
    def height(self) -> int:
        """Of the newest proven head."""
        ...

    async def handshake_documents(self, cptx_hash: bytes, target: bytes) -> Json:
        """Return {creation, poolState, targetState}."""
        ...

    async def records(self, cptx_hash: bytes, target: bytes) -> ProvenRecords:
        """Return a pool and a target's record, proven."""
        ...

    async def submit(self, raw: bytes) -> Json:
        """Submit a transaction and wait until it is in a block."""
        ...

    async def refresh(self) -> object:
        """Ask for the newest head and prove it."""
        ...


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """How a pool is made. Amounts in base units, None for the default; the duration in blocks."""

    deposit: int
    duration: int
    collateral: int | None = None
    fee: int | None = None


class ViewerPools:
    """The pools of one key on one chain, in a directory."""

    def __init__(self, folder: Path, chain: Chain, key: SigningKey) -> None:
        """Keep them below `folder`."""
        self._folder = folder / f"0x{chain.domain.genesis_hash.hex()}"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._chain = chain
        self._key = key

    async def find(self, resource_id: bytes, price: int, missing: int) -> Purse | None:
        """Return an own open pool for a resource that nobody else uses.

        It can still pay for most of `missing` chunks: what was reserved at a crash counts as promised, though the peer
        that it was reserved for can still be paid with it.
        """
        for known in self._known(resource_id):
            cptx_hash = bytes.fromhex(known["cptxHash"][2:])
            found = await self._chain.records(cptx_hash, self._key.address)
            if found.pool is None and await self._submit_again(known):
                found = await self._chain.records(cptx_hash, self._key.address)
            pool = found.pool
            if pool is None or pool.status is not PoolStatus.OPEN:
                continue
            if pool.creator != self._key.address or pool.resource_id != resource_id:
                continue
            if pool.expires_at - self._chain.height <= min(MARGIN_BLOCKS, (pool.expires_at - pool.created_at) // 2):
                continue
            purse = await self._open_patiently(cptx_hash, pool.deposit, price)
            if purse is not None and purse.ledger.left * 4 >= missing * price * 3:
                return purse
            if purse is not None:
                purse.ledger.close()
        return None

    async def create(self, resource_id: bytes, terms: PoolTerms, price: int) -> Purse:
        """Make a pool and wait until it is in a block. Raises NodeRefused, NodeAway, LedgerRefused and OSError."""
        parameters = self._chain.parameters
        least = terms.deposit + 1 + parameters.reward + REWARDED_FEES * parameters.min_fee
        fields = {
            "resourceId": resource_id,
            "deposit": terms.deposit,
            "collateral": least if terms.collateral is None else terms.collateral,
            "duration": terms.duration,
            "fee": parameters.min_fee if terms.fee is None else terms.fee,
            "nonce": await self._next_nonce(),
        }
        raw = self._sign(fields)
        cptx_hash = keccak256(raw)
        purse = self._open(cptx_hash, terms.deposit, price)
        if purse is None:
            raise LedgerRefused("another process makes the same pool")
        try:
            kept = {
                "cptxHash": f"0x{cptx_hash.hex()}",
                "creator": checksum_address(self._key.address),
                "resourceId": f"0x{resource_id.hex()}",
                "deposit": hex(terms.deposit),
                "raw": f"0x{raw.hex()}",
            }
            (self._folder / f"0x{cptx_hash.hex()}.json").write_text(json.dumps(kept))
            await self._chain.submit(raw)
            await self._chain.refresh()
        except BaseException as error:
            purse.ledger.close()
            if isinstance(error, NodeRefused) and error.reason in _REFUSED:
                self._forget(cptx_hash)
            raise
        return purse

    async def _submit_again(self, known: Json) -> bool:
        """Submit a CreatePool that was signed before an interruption; tell whether it is in a block."""
        try:
            await self._chain.submit(bytes.fromhex(known["raw"][2:]))
            await self._chain.refresh()
        except NodeRefused as error:
            if error.reason in _REFUSED:
                self._forget(bytes.fromhex(known["cptxHash"][2:]))
            return False
        return True

    def _forget(self, cptx_hash: bytes) -> None:
        """Delete what was kept of a pool that there is not, from which nothing was promised."""
        ledger = ledger_path(self._folder.parent, self._chain.domain.genesis_hash, cptx_hash)
        for path in (ledger.with_suffix(".json"), ledger):
            path.unlink(missing_ok=True)

    async def _next_nonce(self) -> int:
        """Return the nonce behind everything of this sender that is pending."""
        asked = {"address": checksum_address(self._key.address), "block": "pending"}
        return int(await self._chain.rpc.call("eth_getTransactionCount", asked), 16)

    def _sign(self, fields: Json) -> bytes:
        (digest,) = CREATE_POOL.digests(
            encode(CREATE_POOL, fields, {SIGNATURE: bytes(SIGNATURE_BYTES)}), self._chain.domain
        )
        return encode(CREATE_POOL, fields, {SIGNATURE: self._key.sign(digest)})

    def _open(self, cptx_hash: bytes, deposit: int, price: int) -> Purse | None:
        """Open the ledger of a pool; None when another process has it. Raises LedgerRefused for a damaged one."""
        genesis_hash = self._chain.domain.genesis_hash
        ahead = min(RESERVED_CHUNKS * price, deposit // RESERVED_SHARE)
        try:
            ledger = PayerLedger.of_pool(
                self._folder.parent, genesis_hash, cptx_hash, deposit=deposit, reserve_ahead=ahead
            )
        except LedgerInUse:
            return None
        return Purse(cptx_hash, deposit, ledger, self._key, self._chain.domain)

    async def _open_patiently(self, cptx_hash: bytes, deposit: int, price: int) -> Purse | None:
        """Open the ledger of a pool; None when another process pays from it, and not just for a moment."""
        for _ in range(_TRIES):
            if (purse := self._open(cptx_hash, deposit, price)) is not None:
                return purse
            await asyncio.sleep(_PAUSE_SECONDS)
        return None

    def _known(self, resource_id: bytes) -> Iterator[Json]:
        wanted = (f"0x{resource_id.hex()}", checksum_address(self._key.address))
        for path in sorted(self._folder.glob("0x*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                known = json.loads(path.read_text())
                matches = (known["resourceId"], known["creator"]) == wanted and path.with_suffix(".ledger").exists()
            except (ValueError, KeyError, TypeError):
                continue
            if matches:
                yield known
