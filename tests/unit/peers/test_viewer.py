"""The buying program against cachers that obey docs/peers.md, and against those that cheat."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from crypto.signature import SigningKey
from peers.manifest import BadManifest, LivePart, Manifest, live_id, make_live
from peers.progress import FetchFailed, Settings
from peers.viewer import Price, PriceUnknown, Viewer

from .manifests import DOMAIN, KEY, live
from .market import FIRST, PRICE, VIEWER, Market, ToyChain, open_market
from .serving import run, serving

if TYPE_CHECKING:
    from pathlib import Path

    from peers.progress import Progress

QUICK = Settings(reply_seconds=0.5, patience_seconds=1.0, tracker_seconds=0.5)


async def buy(market: Market, folder: Path, settings: Settings = QUICK, **terms: Any) -> Progress:
    """The three calls; the file must be equal, and no promise may exceed the deposit."""
    async with Viewer(market.chain, VIEWER, folder / "viewer", settings) as viewer:
        purchase = await viewer.open(market.manifest.resource_id, origin=market.origin_url)
        await purchase.fund(**terms)
        report = await purchase.save(folder / "out.bin")
        assert purchase.purse is not None
        assert purchase.purse.ledger.promised <= purchase.purse.deposit
    assert (folder / "out.bin").read_bytes() == market.file.read_bytes()
    return report


def test_three_honest_peers_deliver_everything_for_its_price(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 60, cachers=[{"delay_seconds": 0.01}] * 3) as market:
            report = await buy(market, tmp_path)
            assert report.from_origin == 0
            assert sum(peer.chunks for peer in report.peers) == 60
            assert [cacher.served for cacher in market.cachers] == pytest.approx([20, 20, 20], abs=5)
            assert report.spent == sum(cacher.promised for cacher in market.cachers)
            # Nobody holds more than a first payment beyond what was delivered.
            for cacher in market.cachers:
                assert 0 <= cacher.promised - cacher.served * PRICE <= FIRST - PRICE
            assert len(market.chain.pools) == 1

    run(work())


CHEATS: list[dict[str, Any]] = [
    {"garbage": True},
    {"wrong_chunk": True},
    {"silent": True},
    {"greedy": True},
]


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: next(iter(cheat)))
def test_a_cheat_gets_at_most_one_payment_and_never_another(tmp_path: Path, cheat: dict[str, Any]) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 30, cachers=[cheat, {}]) as market:
            await buy(market, tmp_path)
            bad, good = market.cachers
            assert bad.promised <= max(PRICE, FIRST)
            assert good.served >= 29
            before = bad.requests
            if not bad.silent:
                shutil.rmtree(tmp_path / "viewer" / "chunks")
                await buy(market, tmp_path)
                assert bad.requests == before

    run(work())


def test_without_peers_everything_comes_from_the_origin(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 10, cachers=[]) as market:
            report = await buy(market, tmp_path)
            assert (report.from_origin, report.spent) == (10, 0)

    run(work())


def test_without_anybody_the_purchase_fails_with_names(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 10, cachers=[{"garbage": True}]) as market:
            market.origin_works = False
            with pytest.raises(FetchFailed, match="not chunk"):
                await buy(market, tmp_path)

    run(work())


OBSTACLES: list[dict[str, Any]] = [
    {"drops": 2},
    {"busy": 2},
    {"wrong_seq_after": 4},
    {"forgets_handshakes": 1},
    {"inflated": 10**9},
    {"first": PRICE // 2},
    {"first": 10 * PRICE},
]


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda fields: next(iter(fields)))
def test_one_peer_with_an_obstacle_delivers_everything(tmp_path: Path, obstacle: dict[str, Any]) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 20, cachers=[obstacle]) as market:
            report = await buy(market, tmp_path)
            (cacher,) = market.cachers
            assert report.from_origin == 0
            assert cacher.served >= 20 - (1 if "forgets_handshakes" in obstacle else 0)
            assert cacher.promised <= max(20 * PRICE, cacher.first) + PRICE * ("forgets_handshakes" in obstacle)

    run(work())


def test_a_capped_peer_is_waited_for_by_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 20, cachers=[{"cap_after": 3}, {}]) as market:
            report = await buy(market, tmp_path)
            assert report.from_origin == 0, report
            assert market.cachers[0].served == 3
            assert market.cachers[1].served == 17

    run(work())


def test_a_peer_that_lacks_chunks_sells_the_others(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 20, cachers=[{"lacks": frozenset(range(5, 10))}]) as market:
            report = await buy(market, tmp_path)
            assert report.from_origin == 5
            assert market.cachers[0].promised == 15 * PRICE

    run(work())


def test_a_dear_peer_is_not_asked(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 10, cachers=[{"price": PRICE + 1}]) as market:
            report = await buy(market, tmp_path)
            assert (report.from_origin, market.cachers[0].requests) == (10, 0)

    run(work())


def test_the_deposit_ends_the_buying_and_not_the_film(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 20, cachers=[{}, {}]) as market:
            report = await buy(market, tmp_path, deposit=7 * PRICE)
            assert report.spent <= 7 * PRICE
            assert report.from_origin >= 13

    run(work())


def test_unknown_peers_are_not_paid_once_too_much_was_lost(tmp_path: Path) -> None:
    """One operator with many addresses: each would take one chunk's price."""

    async def work() -> None:
        crowd = [{"garbage": True}] * 6
        settings = Settings(reply_seconds=0.5, patience_seconds=1.0, tracker_seconds=0.2, peers_max=1)
        async with open_market(tmp_path, 100, cachers=crowd) as market:
            await buy(market, tmp_path, settings, deposit=100 * PRICE)  # of which one price is the share
            assert sum(cacher.promised for cacher in market.cachers) == PRICE

    run(work())


def test_a_peer_that_there_was_no_place_for_takes_over_at_once(tmp_path: Path) -> None:
    """The tracker is not asked again in time: nothing would come."""

    async def work() -> None:
        settings = Settings(tracker_seconds=60.0, peers_max=1, lost_share=(1, 1))
        async with open_market(tmp_path, 20, cachers=[{"garbage": True}, {}]) as market:
            report = await buy(market, tmp_path, settings)
            assert report.from_origin == 0
            assert sum(peer.chunks for peer in report.peers) == 20

    run(work())


def test_after_an_interruption_nothing_is_bought_twice(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 40, cachers=[{"delay_seconds": 0.02}] * 2) as market:
            async with Viewer(market.chain, VIEWER, tmp_path / "viewer", QUICK) as viewer:
                purchase = await viewer.open(market.manifest.resource_id, origin=market.origin_url)
                await purchase.fund()
                saving = asyncio.create_task(purchase.save(tmp_path / "out.bin"))
                while purchase.store.count() < 15:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                saving.cancel()
                await asyncio.gather(saving, return_exceptions=True)
            await buy(market, tmp_path)
            assert len(market.chain.pools) == 1
            assert sum(cacher.promised for cacher in market.cachers) == 40 * PRICE

    run(work())


# Live resources


def signed(sequence: int, data: bytes, key: SigningKey = KEY) -> Manifest:
    """A live manifest of the concert, signed by its publisher or somebody else."""
    found = live(sequence, data)
    return found if key is KEY else make_live(found, key, DOMAIN)


async def seen(folder: Path, *offered: Manifest | None, publisher: bytes | None = None) -> Manifest:
    """What a viewer takes for the manifest when its sources, an origin and peers, offer these; None is away."""
    answers = [*offered]

    async with AsyncExitStack() as stack:

        async def serve(manifest: Manifest | None) -> str:
            async def handle(_: web.Request) -> web.Response:
                return web.Response(status=500) if manifest is None else web.json_response(manifest.to_json())

            return await stack.enter_async_context(serving(handle))

        origin, *peers = [await serve(manifest) for manifest in answers]
        async with Viewer(ToyChain(), VIEWER, folder, QUICK) as viewer:
            purchase = await viewer.open(live_id("concert"), origin=origin, peers=peers, publisher=publisher)
            return purchase.manifest


def test_the_publisher_who_was_seen_first_stays(tmp_path: Path) -> None:
    """A live name does not say whose it is; and nobody makes a viewer go back, or somewhere else."""
    stranger = SigningKey(b"\x08" * 32)

    async def work() -> None:
        first = await seen(tmp_path, signed(2, b"01234567"))
        assert first == signed(2, b"01234567")
        for offered in (signed(9, b"01234567", stranger), signed(1, b"0123"), signed(9, b"other"), None):
            assert await seen(tmp_path, offered) == first
        # Somebody else may have what the origin does not give.
        newer = signed(3, b"01234567abcd")
        assert await seen(tmp_path, signed(1, b"0123"), None, newer) == newer
        assert await seen(tmp_path, first) == newer

    run(work())


def test_a_publisher_who_is_known_is_insisted_on(tmp_path: Path) -> None:
    stranger = SigningKey(b"\x08" * 32)

    async def work() -> None:
        with pytest.raises(BadManifest, match="of another publisher"):
            await seen(tmp_path, signed(1, b"0123"), publisher=stranger.address)
        found = await seen(tmp_path, signed(1, b"0123"), signed(1, b"4567", stranger), publisher=stranger.address)
        assert found.live is not None
        assert found.live.publisher == stranger.address
        with pytest.raises(BadManifest, match="of another publisher"):
            await seen(tmp_path, None, publisher=KEY.address)

    run(work())


def test_notes_of_a_purchase_that_cannot_be_read_are_begun_anew(tmp_path: Path) -> None:
    async def work() -> None:
        await seen(tmp_path, signed(2, b"01234567"))
        kept = tmp_path / "chunks" / f"0x{live_id('concert').hex()}" / "manifest.json"
        await asyncio.to_thread(kept.write_text, f'{{"resourceId": "0x{live_id("concert").hex()}"')
        assert await seen(tmp_path, signed(1, b"0123")) == signed(1, b"0123")

    run(work())


def test_two_processes_do_not_buy_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_market(tmp_path, 5, cachers=[]) as market:
            async with Viewer(market.chain, VIEWER, tmp_path / "viewer", QUICK) as first:
                await first.open(market.manifest.resource_id, origin=market.origin_url)
                async with Viewer(market.chain, VIEWER, tmp_path / "viewer", QUICK) as second:
                    with pytest.raises(BlockingIOError, match="another process is fetching"):
                        await second.open(market.manifest.resource_id, origin=market.origin_url)
            await buy(market, tmp_path)

    run(work())


def test_what_is_whole_at_its_place_need_not_be_bought(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            open_market(tmp_path, 10, cachers=[]) as market,
            Viewer(market.chain, VIEWER, tmp_path / "viewer", QUICK) as viewer,
        ):
            purchase = await viewer.open(market.manifest.resource_id, origin=market.origin_url)
            assert await purchase.is_at(market.file)
            other = tmp_path / "other.bin"
            assert not await purchase.is_at(other)
            other.write_bytes(bytes(market.file.stat().st_size))
            assert not await purchase.is_at(other)
            with pytest.raises(FileExistsError):
                await purchase.is_at(tmp_path)
            for ended in (False, True):
                part = LivePart("concert", VIEWER.address, 1, ended=ended, signature=bytes(65))
                purchase.store.manifest = replace(market.manifest, live=part)
                assert await purchase.is_at(market.file) is ended, "a live one that grows is never whole"

    run(work())


# The price of a chunk


def test_the_price_is_the_given_one_or_the_origins_or_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(PriceUnknown):
        Price(tmp_path / "price", None).accept(None)
    assert Price(tmp_path / "price", 7).accept(None) == 7
    assert Price(tmp_path / "price", 7).accept(9) == 9
    assert Price(tmp_path / "price", None).accept(None) == 9, "an interrupted purchase goes on without its origin"
    assert Price(tmp_path / "price", None).accept(0) == 0
    (tmp_path / "price").write_text("")  # as a crash may leave it
    with pytest.raises(PriceUnknown):
        Price(tmp_path / "price", None).accept(None)
