"""A cacher's run from start to end: what it takes from the disk, what it sells, and what it settles before it stops."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from crypto.address import checksum_address
from ledger.records import PoolStatus, Target
from peers import cacher as cacher_module
from peers.chunk_store import ChunkStore
from peers.payment_store import PaymentStore
from peers.transfer import NoAnswer
from storage.kv import StorageFailure, StorageRefused
from storage.memory import Fault
from tests.model.small_chain import ALICE, BOB, CAROL_KEY

from .manifests import single
from .selling_world import CHUNKS, FILM, FIRST, PRICE, SellingWorld, faulty, stocked_world
from .serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SellingWorld]:
    with stocked_world(tmp_path) as found:
        yield found


# The start


def test_it_goes_on_with_the_books_that_are_on_disk(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling(stop_seconds=0.05):
            await world.shake()
            await world.buy(0, 20)
            await world.buy(1, 20)
            world.rpc.is_away = True
        assert world.cacher.is_settled is False
        async with world.selling() as cacher:
            (account,) = cacher.accounts
            assert (account.is_kept, account.price, account.book.best) == (True, PRICE, world.payment(20))
            assert await world.buy(2, 30, account.book.next_seq) == CHUNKS[2], "no other handshake is needed"

    world.run(work())


def test_a_pool_that_closes_is_forgotten_and_so_is_one_that_closed_before_the_start(world: SellingWorld) -> None:
    """A process that ends between the two leaves a closed book on the disk."""

    async def work() -> None:
        async with world.selling(stop_seconds=0.05):
            await world.shake()
            await world.buy(0, 20)
            (book,) = world.store.load()
            pool = f"0x{world.pool_id.hex()}"
            await world.rpc._answer("tx_submit", raw=f"0x{world.bench.payment(CAROL_KEY, pool, 1001).hex()}")
            await world.rpc.mine()
            await world.until(lambda: [*world.store.load()] == [])
            assert world.row["status"] == "slashed"
            await world.store.save(book._replace(pool=replace(book.pool, status=PoolStatus.SLASHED)), 0)
        async with world.selling() as cacher:
            assert [*cacher.accounts] == []
            assert [*world.store.load()] == []

    world.run(work())


def test_what_is_not_sold_any_more_is_settled_all_the_same(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling(stop_seconds=0.05):
            await world.shake()
            for index in range(5):
                await world.buy(index, 20 + max(0, index - 1) * PRICE)
            world.rpc.is_away = True
        other = single(b"another film")
        async with world.selling(resource_ids=(other.resource_id,)) as cacher:
            (account,) = cacher.accounts
            assert (account.terms, account.price) == (None, 0)
            await world.refused("UNKNOWN_CHUNK", world.buy(0, 20))
        assert cacher.is_settled is True
        assert world.record == Target(1, 50)

    with ChunkStore(world.folder / "chunks" / single(b"another film").resource_id.hex(), single(b"another film")):
        pass
    world.run(work())


def test_without_an_origin_what_is_on_disk_is_sold_and_without_either_nothing(world: SellingWorld) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.json_response({"reason": "BROKEN"}, status=500)

    async def work() -> None:
        async with serving(broken) as url:
            async with world.selling(origin=url) as cacher:
                assert [resource["name"] for resource in cacher.status()["resources"]] == ["a.bin"]
                assert "500" in cacher.status()["originAway"]
            world.folder = world.folder / "empty"
            with pytest.raises(NoAnswer, match="500"):
                async with world.selling(origin=url):
                    pass

    world.run(work())


def test_what_is_named_must_be_there(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling(resource_ids=(bytes(32),)):
            pass

    with pytest.raises(NoAnswer, match="the manifest is not here"):
        world.run(work())


def test_what_an_origin_does_not_give_keeps_nobody_from_settling(world: SellingWorld) -> None:
    async def boasting(request: web.Request) -> web.Response:
        if request.path == "/resources":
            return web.json_response({"resources": [{"resourceId": f"0x{'ab' * 32}"}]})
        return web.json_response({"reason": "UNKNOWN_RESOURCE"}, status=404)

    async def work() -> None:
        async with world.selling(stop_seconds=0.05):
            await world.shake()
            await world.buy(0, 20)
            world.rpc.is_away = True
        async with serving(boasting) as url:
            async with world.selling(origin=url, stop_seconds=0.05) as cacher:
                assert [resource["name"] for resource in cacher.status()["resources"]] == ["a.bin"]
                assert "404" in cacher.status()["originAway"]
                world.rpc.is_away = True
            async with world.selling(origin=url, resource_ids=(bytes(32),)):
                pass  # nothing to sell, but something to settle
        assert world.record == Target(1, 20)

    world.run(work())


def test_an_origin_that_hangs_is_not_waited_for_where_something_is_to_be_settled(
    world: SellingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cacher_module, "_SHELF_SECONDS", 0.2)

    async def hanging(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async def work() -> None:
        async with world.selling(stop_seconds=0.05):
            await world.shake()
            await world.buy(0, 20)
            world.rpc.is_away = True
        async with serving(hanging) as url, asyncio.timeout(10), world.selling(origin=url) as cacher:
            assert [resource["name"] for resource in cacher.status()["resources"]] == ["a.bin"]
            assert "too long" in cacher.status()["originAway"]
        assert world.record == Target(1, 20)

    world.run(work())


def test_payments_of_another_address_or_by_another_process_are_not_touched(world: SellingWorld) -> None:
    genesis_hash = world.bench.domain.genesis_hash
    path = world.folder / "payments"
    first = PaymentStore.open(path, genesis_hash, BOB)
    with pytest.raises(StorageRefused):
        PaymentStore.open(path, genesis_hash, BOB)
    world.run(first.close())
    with pytest.raises(StorageRefused, match="of another address or chain"):
        PaymentStore.open(path, genesis_hash, ALICE)


# While it runs


def test_the_status_tells_the_chain_the_risk_and_the_prices(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            await world.shake()
            await world.buy(0, 25)
            found = cacher.status()
            assert found["target"] == checksum_address(BOB)
            assert found["head"] == {"height": "0x1", "hash": f"0x{world.link.head.hash.hex()}"}
            assert (found["pricePerChunk"], found["firstAmount"], found["settlementFee"]) == (
                hex(PRICE),
                hex(FIRST),
                "0xa",
            )
            assert (found["unsettled"], found["nodeAway"], found["originAway"]) == (hex(25), None, None)
            assert found["resources"] == [
                {"resourceId": f"0x{FILM.resource_id.hex()}", "name": "a.bin", "chunkCount": 20}
            ]
            (row,) = found["pools"]
            assert (row["remaining"], row["unsettled"], row["blocksLeft"]) == (hex(1000), hex(25), hex(44))
            assert json.loads(json.dumps(found)) == found

    world.run(work())


def test_handshakes_payments_and_settlements_are_changes_to_show(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling():
            seen = [world.changes]
            await world.shake()
            seen.append(world.changes)
            await world.buy(0, 20)
            seen.append(world.changes)
            await world.buy(0, 20)  # the same once more changes nothing
            seen.append(world.changes)
            await world.buy(1, 500)
            await world.until(lambda: world.record == Target(1, 500))
            await world.until(lambda: world.row["unsettled"] == "0x0")
            seen.append(world.changes)
            assert seen[0] < seen[1] < seen[2] == seen[3] < seen[4]

    world.run(work())


def test_viewers_learn_of_it_once_it_listens(world: SellingWorld) -> None:
    announced: list[Any] = []

    async def origin(request: web.Request) -> web.Response:
        if request.path == "/resources":
            return web.json_response({"resources": []})
        announced.append(json.loads(await request.read()))
        return web.Response(status=204)

    async def work() -> None:
        async with serving(origin) as url, world.selling(origin=url) as cacher:
            await asyncio.sleep(0.05)
            assert announced == []
            cacher.listen_at("http://127.0.0.1:8800")
            await world.until(lambda: announced)
            assert announced == [
                {
                    "url": "http://127.0.0.1:8800",
                    "target": checksum_address(BOB),
                    "pricePerChunk": hex(PRICE),
                    "resourceId": f"0x{FILM.resource_id.hex()}",
                }
            ]
            assert cacher.status()["url"] == "http://127.0.0.1:8800"

    world.run(work())


# The end


def test_at_the_end_what_is_worth_its_fee_is_settled_and_nothing_is_sold(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            await world.shake()
            await world.buy(0, 20)
        assert cacher.is_settled is True
        assert world.record == Target(1, 20)
        assert cacher.status()["unsettled"] == "0x0"
        await world.refused("NOT_READY", world.buy(1, 30, 2))

    world.run(work())


def test_what_is_not_worth_its_fee_stays(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling(first_amount=10) as cacher:
            await world.shake()
            await world.buy(0, 10)
        assert (cacher.is_settled, world.record) == (True, Target(0, 0))
        assert world.rpc.submitted == []

    world.run(work())


def test_the_end_does_not_wait_for_ever_and_the_next_start_goes_on(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling(stop_seconds=0.1) as cacher:
            await world.shake()
            await world.buy(0, 20)
            world.rpc.is_away = True
        assert cacher.is_settled is False
        assert world.record == Target(0, 0)
        async with world.selling():
            await world.until(lambda: world.record == Target(1, 20))

    world.run(work())


def test_after_a_failure_of_the_disk_nothing_is_settled_any_more(world: SellingWorld) -> None:
    """What is not on disk was not received: a signature now could spend a tgtSeq that nobody knows of."""
    disk = faulty(writes={3: Fault(StorageFailure("a dead disk"))})

    async def work() -> None:
        async with world.selling(disk=disk):
            await world.shake()
            await world.buy(0, 500)  # now the settlement is marked, which fails
            await asyncio.sleep(3600)

    with pytest.raises(ExceptionGroup) as caught:
        world.run(work())
    assert "a dead disk" in str(caught.value.exceptions[0])
    assert world.cacher.is_settled is None
    assert world.rpc.submitted == []
