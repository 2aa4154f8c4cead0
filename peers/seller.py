"""One cacher as a viewer buys from it: handshake, one paid request for each chunk, and every answer of docs/peers.md.

A peer is only ever left, never argued with: `Left` ends it with the verdict that the viewer remembers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from crypto.address import checksum_address, parse_address
from crypto.words import UINT64_LIMIT
from light.errors import ProofRefused

from .account import Account, AsksTooMuch
from .manifest import BadManifest, ChunkData, Manifest, WrongChunk
from .manifest_reader import read_quantity
from .node_rpc import NodeAway, NodeRefused
from .payer_ledger import DepositExhausted
from .purse import Past, Purse, Verdict
from .transfer import Answer, NoAnswer, ask, get_json

NO_PAST: Final = Past()
PAYMENT_HEADER: Final = "Poolchain-Payment"
_ATTEMPTS: Final = 3
_EXCHANGES_MAX: Final = 8
_PAUSE_SECONDS: Final = 0.02
"""Before the first repetition, four times as long before the second: meanwhile the chunk waits."""
_STALE_PAUSE_SECONDS: Final = 0.1
_NODE_PAUSE_SECONDS: Final = 0.5
_PAUSE_SECONDS_MAX: Final = 30.0
_ANSWER_BYTES_MAX: Final = 64 * 1024
Json = dict[str, Any]
Documents = Callable[[bytes, bytes], Awaitable[Json]]
"""(cptxHash, target) -> {creation, poolState, targetState}."""


class Left(Exception):
    """The peer is not used any more in this pool."""

    def __init__(self, verdict: Verdict) -> None:
        """Say why, and what it has cost."""
        super().__init__(verdict.reason)
        self.verdict = verdict


class Busy(Exception):
    """The peer wants a pause; `seconds` long. The chunk is not paid for."""

    def __init__(self, seconds: float) -> None:
        """Take how long."""
        super().__init__(f"a pause of {seconds:g} seconds")
        self.seconds = seconds


class NotThere(Exception):
    """The peer does not have this chunk."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a peer says of itself before the handshake."""

    url: str
    target: bytes
    price: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a viewer accepts."""

    price_max: int
    first_amount_max: int
    reply_seconds: float = 20.0
    block_seconds: float = 1.0


class Seller:
    """One peer, in one pool."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        offer: Offer,
        manifest: Manifest,
        *,
        purse: Purse,
        terms: Terms,
        documents: Documents,
        past: Past = NO_PAST,
        on_part: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is sent before `shake_hands`; `on_part` is called for each part of an answer."""
        self.offer = offer
        self.manifest = manifest
        self.account = Account(offer.price, 0, 0, 1, is_first=True)
        self.lacks: set[int] = set()
        """Chunks that it does not have."""
        self.spent_before = 0
        """What was promised to it before this run."""
        self._session = session
        self._purse = purse
        self._terms = terms
        self._documents = documents
        self._past = past
        self._on_part = on_part
        self._shaking = asyncio.Lock()
        self._handshakes = 0

    @property
    def spent(self) -> int:
        """What was promised to this peer in this run, in base units."""
        return self.account.promised - self.spent_before

    async def shake_hands(self) -> None:
        """Show the pool to the peer, and learn what it wants; raises Left."""
        for _ in range(_ATTEMPTS):
            documents = await self._proofs()
            body = {"version": 1, "resourceId": f"0x{self.manifest.resource_id.hex()}", **documents}
            answer = await self._exchange("POST", "/handshake", body=json.dumps(body).encode())
            if answer.reason != "STALE_PROOF":
                break
            # The peer's node is ahead of ours, by a moment as a rule.
            await asyncio.sleep(_STALE_PAUSE_SECONDS)
        if answer.status != 200:
            raise self._left(f"handshake refused: {answer.reason}")
        try:
            self._take_terms(answer.json, documents)
        except (BadManifest, KeyError, TypeError, ValueError) as error:
            raise self._left(f"handshake not understood: {error}") from error

    async def _proofs(self) -> Json:
        """Return what is shown to the peer; a node is waited for as long as a peer's reply. Raises Left."""
        away: object = "the node gave no answer in time"
        try:
            async with asyncio.timeout(self._terms.reply_seconds):
                while True:
                    try:
                        return await self._documents(self._purse.cptx_hash, self.offer.target)
                    except (NodeAway, NodeRefused, ProofRefused) as error:
                        away = error
                    await asyncio.sleep(_NODE_PAUSE_SECONDS)
        except TimeoutError:
            raise self._left(f"no proofs to show to it: {away}") from None

    def _take_terms(self, found: Json, documents: Json) -> None:
        target = parse_address(found["target"])
        price = read_quantity(found["pricePerChunk"], "pricePerChunk")
        first = read_quantity(found["firstAmount"], "firstAmount")
        if target != self.offer.target:
            raise self._left(f"it is {checksum_address(target)} and not who it said it was")
        if price > self._terms.price_max or first > max(self._terms.first_amount_max, price):
            raise self._left("too dear")
        ledger = self._purse.ledger
        paid = _paid(documents)
        if known := max(paid, self._past.promised):
            ledger.resume(target, known)
        last = self._purse.believe(target, found["lastPayment"])
        promised = max(paid, last, ledger.total(target))
        tgt_seq = _sequence(found["tgtSeq"])
        self._handshakes += 1
        if self._handshakes > 1:
            self._keep_terms(price, first, max(tgt_seq, self.account.tgt_seq))
            return
        self.spent_before = promised
        self.account = Account(
            price,
            first,
            promised,
            tgt_seq,
            is_first=promised == 0,
            is_credit_known=promised == 0,
            lost_before=self._past.debt,
        )

    def _keep_terms(self, price: int, first: int, tgt_seq: int) -> None:
        """Go on after a peer has asked for another handshake: forgetting us does not free it from what it owes."""
        if (price, first) != (self.account.price, self.account.first_amount):
            raise self._left("has changed its price")
        self.account.tgt_seq = tgt_seq

    async def buy(self, index: int) -> ChunkData:
        """Return a chunk that verifies, paid for; raises Left, Busy and NotThere."""
        account = self.account
        total = account.order()
        for _ in range(_EXCHANGES_MAX):
            handshakes = self._handshakes
            answer = await self._exchange("GET", self._path(index), payment=self._pay(total), index=index)
            if answer.status == 200:
                return self._check(index, answer.body)
            total = await self._settle_difference(answer, handshakes)
        raise self._left(f"no chunk after {_EXCHANGES_MAX} answers")

    def _pay(self, total: int) -> str:
        try:
            payment = self._purse.pay(self.offer.target, total, self.account.tgt_seq)
        except DepositExhausted as error:
            # Nothing was signed: what was promised is what the ledger says.
            account = self.account
            unsigned = account.promised - self._purse.ledger.total(self.offer.target)
            account.promised -= unsigned
            raise Left(Verdict("the deposit is used up", max(0, account.exposure - unsigned))) from error
        # After an interruption a sum may have been signed that is higher than what the peer shows.
        self.account.promised = max(self.account.promised, payment.promise.amount)
        return f"0x{payment.encode().hex()}"

    async def _settle_difference(self, answer: Answer, handshakes: int) -> int:
        """Return the total to send after a refusal; raises Left, Busy and NotThere."""
        found, account = answer.json, self.account
        self._purse.believe(self.offer.target, found.get("lastPayment"))
        match answer.status, answer.reason:
            case 402, "PAYMENT_REQUIRED":
                return self._meet(found)
            case 402, "WRONG_SEQUENCE":
                try:
                    account.tgt_seq = max(account.tgt_seq, _sequence(found.get("tgtSeq")))
                except (BadManifest, ValueError) as error:
                    raise self._left(f"no number to sign with: {error}") from error
                return account.promised
            case 402, "CAP_REACHED":
                account.cancel()
                raise Busy(self._pause(found.get("retryAfterBlocks")))
            case 403, "NO_HANDSHAKE":
                async with self._shaking:
                    if self._handshakes == handshakes:
                        await self.shake_hands()
                return account.promised
            case (404, "UNKNOWN_CHUNK") | (503, "CHUNK_UNAVAILABLE"):
                account.cancel()
                raise NotThere
            case _:
                raise self._left(f"refused: {answer.status} {answer.reason}")

    def _meet(self, found: Json) -> int:
        try:
            return self.account.meet(read_quantity(found.get("amount"), "amount"))
        except AsksTooMuch as error:
            # What an interrupted purchase has paid for, the peer may know better than we do.
            raise self._left(str(error), cheat=self.account.is_credit_known) from error
        except BadManifest as error:
            raise self._left(f"no amount to pay: {error}") from error

    def _check(self, index: int, data: bytes) -> ChunkData:
        try:
            found = self.manifest.verify_chunk(index, data)
        except WrongChunk as error:
            raise self._left(f"cheated: {error}", cheat=True) from error
        self.account.arrived()
        return found

    async def _exchange(
        self, method: str, path: str, *, body: bytes | None = None, payment: str | None = None, index: int | None = None
    ) -> Answer:
        """Ask, and ask the same again after a lost reply or a 503; raises Left."""
        headers = {} if payment is None else {PAYMENT_HEADER: payment}
        limit = _ANSWER_BYTES_MAX if index is None else max(self.manifest.chunk_size(index), _ANSWER_BYTES_MAX)
        reason = ""
        for attempt in range(_ATTEMPTS):
            pause = _PAUSE_SECONDS * 4**attempt
            try:
                async with asyncio.timeout(self._terms.reply_seconds):
                    url, heard = self.offer.url + path, self._on_part
                    answer = await ask(
                        self._session, method, url, body=body, headers=headers, limit=limit, on_part=heard
                    )
                if answer.status != 503 or (attempt + 1 == _ATTEMPTS and index is not None):
                    return answer
                pause, reason = max(pause, answer.retry_after), answer.reason
            except TimeoutError:
                reason = f"no answer within {self._terms.reply_seconds:g} seconds"
            except NoAnswer as error:
                reason = str(error)
            if attempt + 1 < _ATTEMPTS:
                await asyncio.sleep(min(pause, _PAUSE_SECONDS_MAX))
        raise self._left(reason)

    def _left(self, reason: str, *, cheat: bool = False) -> Left:
        return Left(Verdict(reason, self.account.lost_now, cheat))

    def _pause(self, blocks: object) -> float:
        try:
            count = read_quantity(blocks, "retryAfterBlocks") if isinstance(blocks, str) else int(str(blocks))
        except (BadManifest, ValueError):
            count = 1
        return min(max(count, 1) * self._terms.block_seconds, _PAUSE_SECONDS_MAX)

    def _path(self, index: int) -> str:
        return f"/chunk/0x{self.manifest.resource_id.hex()}/{index}"


async def read_offer(session: aiohttp.ClientSession, url: str, resource_id: bytes, seconds: float) -> Offer | None:
    """Return the offer of a peer of which only the url is known; None when it has none."""
    try:
        async with asyncio.timeout(seconds):
            found = await get_json(session, f"{url}/offer/0x{resource_id.hex()}", _ANSWER_BYTES_MAX)
        return offer_of({**found, "url": url})
    except (NoAnswer, TimeoutError):
        return None


def offer_of(found: object) -> Offer | None:
    """Return what a tracker or a peer says of one offer; None for what is none."""
    try:
        if not isinstance(found, dict) or not isinstance(found["url"], str):
            return None
        price = read_quantity(found["pricePerChunk"], "pricePerChunk")
        return Offer(found["url"].rstrip("/"), parse_address(found["target"]), price)
    except (BadManifest, KeyError, ValueError, TypeError, AttributeError):
        return None


def _sequence(value: object) -> int:
    found = read_quantity(value, "tgtSeq")
    if not 1 <= found < UINT64_LIMIT:
        raise ValueError("tgtSeq out of range")
    return found


def _paid(documents: Json) -> int:
    """Return what the chain has paid to the target, as the state's document says; a cacher checks its proof."""
    record = documents.get("targetState", {}).get("record")
    return read_quantity(record["paid"], "paid") if record else 0
