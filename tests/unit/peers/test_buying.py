"""A running purchase: who is asked and who is not, what is asked first, and how it ends when nobody can deliver."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiohttp import web

from crypto.address import checksum_address
from peers import buying as buying_module
from peers import deal as deal_module
from peers import seller as seller_module
from peers.deal import GRACE_SECONDS
from peers.deal import Deal as PeerDeal
from peers.node_rpc import NodeAway
from peers.payer_ledger import LedgerRefused
from peers.payment import Payment, Promise
from peers.progress import FetchFailed, Settings
from peers.purse import Distrust, Verdict
from peers.seller import Offer
from peers.viewer import Viewer

from .market import DOMAIN, FIRST, PRICE, VIEWER, Market, open_market
from .serving import run, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from peers.buying import Buying
    from peers.viewer import Purchase

QUICK = Settings(reply_seconds=0.5, patience_seconds=0.6, tracker_seconds=0.1)


class Deal(NamedTuple):
    """A market, and a purchase in it that is under way."""

    market: Market
    purchase: Purchase
    buying: Buying

    @property
    def urls(self) -> list[str]:
        return [peer.url for peer in self.buying.progress().peers]


@asynccontextmanager
async def buying(
    folder: Path,
    cachers: list[dict[str, Any]],
    *,
    chunks: int = 20,
    settings: Settings = QUICK,
    funded: bool = True,
    under_way: dict[int, list[int]] | None = None,
    origin_works: bool = True,
) -> AsyncIterator[Deal]:
    """Buy inside; `under_way`: number of a cacher -> chunks that it was paid for before a crash."""
    async with open_market(folder, chunks, cachers=cachers) as market:
        market.origin_works = origin_works
        async with Viewer(market.chain, VIEWER, folder / "viewer", settings) as viewer:
            purchase = await viewer.open(market.manifest.resource_id, origin=market.origin_url)
            if funded:
                await purchase.fund()
            for number, indices in (under_way or {}).items():
                purchase._under_way.before[market.cachers[number].key.address] = indices
            async with purchase.buying() as found:
                yield Deal(market, purchase, found)


async def everything(deal: Deal) -> None:
    deal.buying.queue.want(deal.purchase.store.missing())
    await deal.buying.all_here()


def failure(work: Any) -> BaseException:
    """What a purchase ended with, which is never a group."""
    try:
        run(work)
    except BaseException as error:  # noqa: BLE001  # that is what is looked at
        return error
    raise AssertionError("it did not fail")


# Who is asked


def test_who_is_not_to_be_bought_from_is_never_asked(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}]) as deal:
            (cacher,) = deal.market.cachers
            await everything(deal)
            url, target = cacher.url, cacher.key.address
            purse = deal.purchase.purse
            assert purse is not None
            stranger = b"\x77" * 20
            deal.purchase._viewer.distrust.note(
                purse, "http://127.0.0.1:9", stranger, Verdict("cheated", cheat=True), 0
            )
            for offer in (
                Offer("http://127.0.0.1:2", b"\x55" * 20, PRICE + 1),  # too dear
                Offer("http://127.0.0.1:3", VIEWER.address, PRICE),  # nobody pays itself
                Offer("http://127.0.0.1:4", target, PRICE),  # the book of a target is in one place
                Offer("http://127.0.0.1:9", b"\x66" * 20, PRICE),  # a cheat with a new address
                Offer("http://127.0.0.1:5", stranger, PRICE),  # a cheat at a new url
                Offer(url, b"\x44" * 20, PRICE),  # known already
            ):
                deal.buying.add(offer)
            assert deal.urls == [url]

    run(work())


def test_without_a_purse_nobody_is_asked_for_money(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}], funded=False) as deal:
            await everything(deal)
            assert (deal.urls, deal.market.cachers[0].requests) == ([], 0)
            assert deal.buying.progress().from_origin == 20

    run(work())


def test_places_are_limited_and_taken_over(tmp_path: Path) -> None:
    settings = Settings(reply_seconds=0.5, patience_seconds=2.0, tracker_seconds=0.1, peers_max=2, lost_share=(1, 1))

    async def work() -> None:
        crowd = [{"delay_seconds": 0.01}, {"delay_seconds": 0.01}, {"delay_seconds": 0.01}]
        async with buying(tmp_path, crowd, settings=settings) as deal:
            deal.buying.queue.want([0, 1])
            await deal.buying.all_here()
            assert len(deal.urls) == 2
            first = next(cacher for cacher in deal.market.cachers if cacher.url == deal.urls[0])
            first.garbage = True
            await everything(deal)
            states = {peer.url: peer.state for peer in deal.buying.progress().peers}
            assert states[first.url].startswith("left: cheated")
            assert len(states) == 3

    run(work())


# What is asked first


def test_a_chunk_that_is_asked_for_comes_before_all_others(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{"delay_seconds": 0.01, "first": PRICE}], chunks=60) as deal:
            deal.buying.queue.want(range(60))
            await deal.buying.chunk(50)
            (cacher,) = deal.market.cachers
            before = cacher.had[next(iter(cacher.had))]
            assert 50 in before
            assert len(before) < 30
            assert await deal.buying.chunk(50) == await deal.buying.chunk(50), "here it costs nothing more"

    run(work())


def test_a_damaged_chunk_is_bought_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}]) as deal:
            good = await deal.buying.chunk(3)
            store = deal.purchase.store
            store._verified.discard(3)
            data = deal.purchase._viewer.folder / "chunks" / f"0x{store.manifest.resource_id.hex()}" / "data"
            await asyncio.to_thread(_damage, data, 3 * store.manifest.chunk_bytes)
            assert await deal.buying.chunk(3) == good

    run(work())


def _damage(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_what_a_peer_was_paid_for_before_a_crash_is_asked_of_that_peer(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{"delay_seconds": 0.02}, {}], under_way={0: [4, 7]}) as deal:
            await everything(deal)
            slow, quick = deal.market.cachers
            pool = next(iter(slow.had))
            assert {4, 7} <= slow.had[pool]
            assert not {4, 7} & quick.had[pool], "nobody else was paid for them"

    run(work())


def test_a_peer_that_does_not_come_again_is_waited_for_and_then_not(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}]) as deal:
            deal.buying._held = {4: b"\x99" * 20}
            deal.buying.queue.want(range(20))
            while deal.purchase.store.count() < 19:  # noqa: ASYNC110  # another task's
                await asyncio.sleep(0.01)
            assert not deal.purchase.store.has(4)
            await deal.buying.all_here()
            assert deal.buying.progress().from_origin == 0

    run(work())


# Strangers that waste time


def test_announced_peers_that_never_answer_keep_neither_the_origin_nor_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can announce sixteen addresses; purchases waited for them for two minutes, and then failed."""
    for module in (buying_module, deal_module):
        monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    patient = Settings(reply_seconds=20, patience_seconds=30, tracker_seconds=0.1)

    async def mute(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async def work() -> None:
        async with serving(mute) as url, buying(tmp_path, [], settings=patient) as deal:
            for number in range(16):
                deal.buying.add(Offer(f"{url}/{number}", bytes([number]) * 20, PRICE))
            async with asyncio.timeout(10):
                await everything(deal)
            assert deal.buying.progress().from_origin == 20
            await asyncio.sleep(0.5)
            assert len(deal.urls) == 16, "those behind the first eight had their turn"

    run(work())


def test_what_a_silent_peer_was_paid_for_comes_from_the_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the window is full behind it, and everything stands still for a minute."""
    for module in (buying_module, deal_module):
        monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    patient = Settings(reply_seconds=20, patience_seconds=30, tracker_seconds=0.1)

    async def work() -> None:
        async with buying(tmp_path, [{"silent": True}], settings=patient) as deal:
            async with asyncio.timeout(10):
                await everything(deal)
            (peer,) = deal.buying.progress().peers
            assert (deal.buying.progress().from_origin, peer.chunks) == (20, 0)
            assert deal.purchase.purse is not None
            pool = deal.purchase.purse.cptx_hash
        noted = Distrust(tmp_path / "viewer" / "distrust.jsonl")
        assert noted.past(pool, deal.market.cachers[0].key.address).debt == max(PRICE, FIRST)

    run(work())


def test_a_peer_holds_its_place_while_it_has_something_or_works() -> None:
    now = time.monotonic()
    deal = PeerDeal(Offer("http://127.0.0.1:1", bytes(20), PRICE))
    later = now + GRACE_SECONDS + 1
    assert (deal.holds_place(now), deal.is_at_work(now), deal.holds_place(later)) == (True, True, False)
    deal.state = "buying"
    assert deal.is_at_work(later), "nothing was asked of it"
    deal.ask(3)
    deal.moved = now
    assert (deal.is_silent(later), deal.is_at_work(later)) == (True, False)
    deal.moved = later  # a part of a chunk on a slow line
    assert not deal.is_silent(later + 1)
    deal.state = "left: it is gone"
    assert not deal.holds_place(now)


def test_a_node_that_is_away_for_a_moment_does_not_end_a_purchase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}], settings=QUICK, origin_works=False) as deal:
            documents, asked = deal.market.chain.handshake_documents, []

            async def sometimes(cptx_hash: bytes, target: bytes) -> Any:
                asked.append(target)
                if len(asked) == 1:
                    raise NodeAway("nobody is there")
                return await documents(cptx_hash, target)

            monkeypatch.setattr(deal.market.chain, "handshake_documents", sometimes)
            await everything(deal)
            assert len(asked) > 1
            assert deal.buying.progress().from_origin == 0

    monkeypatch.setattr(seller_module, "_NODE_PAUSE_SECONDS", 0.1)
    run(work())


def test_without_a_node_a_peer_is_left_and_the_origin_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_cptx_hash: bytes, _target: bytes) -> Any:
        raise NodeAway("nobody is there")

    async def work() -> None:
        async with buying(tmp_path, [{}], settings=QUICK) as deal:
            monkeypatch.setattr(deal.market.chain, "handshake_documents", away)
            await everything(deal)
            found = deal.buying.progress()
            assert found.from_origin == 20
            assert "nobody is there" in found.peers[0].state

    run(work())


# How it ends


def test_it_fails_with_everybodys_words_when_nobody_can_deliver(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{"garbage": True}, {"greedy": True}], origin_works=False) as deal:
            await everything(deal)

    error = failure(work())
    assert isinstance(error, FetchFailed)
    for words in ("left: cheated: 7 bytes are not chunk", "left: asks for", "origin: ", "status 500"):
        assert words in str(error), error


def test_who_was_named_and_passed_over_is_named_with_the_reason(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{"price": PRICE + 1}], origin_works=False) as deal:
            await everything(deal)

    error = failure(work())
    assert isinstance(error, FetchFailed)
    assert "asks more for a chunk than is accepted" in str(error)


def test_nothing_is_missed_while_nothing_is_wanted(tmp_path: Path) -> None:
    """A player that is paused wants nothing for as long as it likes."""
    settings = Settings(reply_seconds=0.2, patience_seconds=0.05, tracker_seconds=0.1)

    async def work() -> None:
        async with buying(tmp_path, [], settings=settings, origin_works=False) as deal:
            await asyncio.sleep(0.6)
            assert deal.buying.queue.is_done

    run(work())


def test_a_disk_that_fails_ends_it_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}]) as deal:

            def put(_index: int, _data: bytes) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(deal.purchase.store, "put", put)
            await everything(deal)

    error = failure(work())
    assert isinstance(error, OSError)
    assert error.errno == 28


def test_a_payment_of_ours_that_the_ledger_does_not_know_ends_it(tmp_path: Path) -> None:
    """Another ledger was used for this pool: whatever is signed now could cost the collateral."""

    async def work() -> None:
        async with buying(tmp_path, [{}], funded=True) as deal:
            purse = deal.purchase.purse
            assert purse is not None
            (cacher,) = deal.market.cachers
            promise = Promise(cacher.key.address, 9 * PRICE, purse.cptx_hash, 1)
            cacher.best[purse.cptx_hash.hex()] = Payment.sign(promise, VIEWER, DOMAIN)
            await everything(deal)

    error = failure(work())
    assert isinstance(error, LedgerRefused), error


def test_the_progress_adds_up(tmp_path: Path) -> None:
    async def work() -> None:
        async with buying(tmp_path, [{}, {}]) as deal:
            await everything(deal)
            found = deal.buying.progress()
            assert (found.chunks_here, found.chunk_count) == (20, 20)
            assert sum(peer.chunks for peer in found.peers) + found.from_origin == 20
            assert found.spent == sum(peer.spent for peer in found.peers)
            assert 20 * PRICE <= found.spent + found.from_origin * PRICE <= 20 * PRICE + 2 * FIRST
            assert found.bytes_fetched == deal.purchase.manifest.size
            assert found.bytes_per_second == pytest.approx(found.bytes_fetched / found.seconds)
            targets = {checksum_address(cacher.key.address) for cacher in deal.market.cachers}
            assert {peer.target for peer in found.peers} == targets

    run(work())
