"""What viewers ask of a cacher, request by request: each refusal with its reason, and what is on disk when."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from crypto.address import checksum_address
from crypto.signature import SigningKey
from peers import desk as module
from peers.book import Book
from peers.payment import Payment, Promise
from peers.refused import Refused
from storage.kv import StorageFailure
from storage.memory import Fault, Faults, MemoryDisk, MemoryKeyValue
from tests.model.small_chain import BOB, CAROL_KEY

from .selling_world import CHUNKS, FILM, FIRST, PRICE, SellingWorld, faulty, stocked_world
from .serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

OTHER = bytes(32)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SellingWorld]:
    with stocked_world(tmp_path) as found:
        yield found


# Offers and handshakes


def test_an_offer_is_made_for_what_is_sold(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            assert cacher.desk.offer(FILM.resource_id) == {
                "target": checksum_address(BOB),
                "pricePerChunk": hex(PRICE),
                "firstAmount": hex(FIRST),
            }
            with pytest.raises(Refused, match="UNKNOWN_RESOURCE"):
                cacher.desk.offer(OTHER)

    world.run(work())


def test_a_handshake_may_be_repeated_and_tells_what_is_held(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            first = await world.shake()
            assert (first["tgtSeq"], first["paid"], first["lastPayment"]) == ("0x1", "0x0", None)
            assert await world.shake() == first
            await world.buy(0, 20)
            assert (await world.shake())["lastPayment"] == world.header(20)
            assert cacher.desk.counts == {"payments": 1, "repeats": 0, "handshakes": 3}
            assert len([*cacher.accounts]) == 1

    world.run(work())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: {**body, "version": 2}, "MALFORMED"),
        (lambda _: None, "MALFORMED"),
        (lambda body: {**body, "resourceId": f"0x{OTHER.hex()}"}, "UNKNOWN_RESOURCE"),
        (lambda body: {**body, "creation": body["poolState"]}, "BAD_PROOF"),
        (lambda body: {**body, "poolState": None}, "BAD_PROOF"),
    ],
)
def test_a_handshake_that_is_refused_leaves_nothing(world: SellingWorld, change: Any, reason: str) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            await world.refused(reason, cacher.desk.handshake(change(await world.documents())))
            assert [*cacher.accounts] == []
            assert cacher.desk.counts["handshakes"] == 0
            await world.refused("NO_HANDSHAKE", world.buy(0, 20))

    world.run(work())


def test_a_pool_that_was_drained_since_its_documents_is_seen_as_it_is_now(world: SellingWorld) -> None:
    """Documents of a moment ago are fresh enough, but a pool that is not known yet is looked at itself."""

    async def work() -> None:
        async with world.selling() as cacher:
            old = await world.documents()
            pool = f"0x{world.pool_id.hex()}"
            await world.rpc._answer("tx_submit", raw=f"0x{world.bench.payment(CAROL_KEY, pool, 1001).hex()}")
            await world.rpc.mine()
            await world.link.wait_above(world.link.height - 1)
            await world.until(lambda: world.link.height >= 2)
            found = await world.refused("POOL_CLOSED", cacher.desk.handshake(old))
            assert found["given"] == "slashed"

    world.run(work())


def test_without_a_node_an_older_head_is_not_enough(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            old = await world.documents()
            await world.rpc.mine()
            await world.until(lambda: world.link.height >= 2)
            world.rpc.is_away = True
            await world.refused("NOT_READY", cacher.desk.handshake(old))

    world.run(work())


# Chunks: the order of the reasons


def test_the_reasons_of_a_chunk_come_in_the_order_of_the_page(world: SellingWorld) -> None:
    other = world.new_pool(resource=OTHER)

    async def work() -> None:
        async with world.selling() as cacher:
            ask = cacher.desk.chunk
            stranger = Payment.sign(Promise(BOB, 20, world.pool_id, 1), SigningKey(CAROL_KEY), world.bench.domain)
            wrong = f"0x{stranger.encode().hex()}"
            # 404 before all else, also with a payment that is worth nothing
            await world.refused("UNKNOWN_CHUNK", ask(FILM.resource_id, 20, None))
            await world.refused("UNKNOWN_CHUNK", ask(OTHER, 0, wrong))
            # 402 without a payment, with what can be known of a pool that is not
            found = await world.refused("PAYMENT_REQUIRED", ask(FILM.resource_id, 0, None))
            assert (found["amount"], found["tgtSeq"], found["lastPayment"]) == (hex(FIRST), "0x1", None)
            # 403
            await world.refused("BAD_PAYMENT", ask(FILM.resource_id, 0, "0x12"))
            await world.refused("NO_HANDSHAKE", ask(FILM.resource_id, 0, wrong))
            await world.shake()
            await world.refused("BAD_PAYMENT", ask(FILM.resource_id, 0, wrong))
            await world.refused("BAD_PAYMENT", ask(FILM.resource_id, 0, world.header(20, target=b"\x09" * 20)))
            await world.refused(
                "BAD_PAYMENT", ask(FILM.resource_id, 0, f"0x{world.payment(20).promise.words().hex()}" + "00" * 65)
            )
            body = await world.documents(other)
            await world.refused("WRONG_RESOURCE", cacher.desk.handshake(body))
            # 402 with all that is needed to send a better one
            found = await world.refused("PAYMENT_REQUIRED", world.buy(0, 19))
            assert (found["amount"], found["tgtSeq"], found["lastPayment"]) == (hex(20), "0x1", None)
            found = await world.refused("WRONG_SEQUENCE", world.buy(0, 20, 2))
            assert (found["amount"], found["tgtSeq"]) == (hex(20), "0x1")
            found = await world.refused("CAP_REACHED", world.buy(0, 501))
            assert (found["retryAfterBlocks"], found["amount"]) == ("0x1", hex(20))
            assert world.row["delivered"] == world.row["promised"] == "0x0", "nothing was changed by any of them"
            assert await world.buy(0, 20) == CHUNKS[0]

    world.run(work())


def test_a_pool_that_closes_meanwhile_buys_nothing_more(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling(margin_blocks=40):
            await world.shake()
            assert await world.buy(0, 20) == CHUNKS[0]
            await world.rpc.mine(5)
            await world.until(lambda: world.link.height >= 6)
            found = await world.refused("POOL_CLOSED", world.buy(1, 20))
            assert found["expected"] == "at least 40 blocks before it expires"
            assert await world.buy(0, 20) == CHUNKS[0], "what was paid for is still given"

    world.run(work())


def test_the_first_payment_is_credit_for_the_next_chunk(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling():
            await world.shake()
            assert [await world.buy(0, 20), await world.buy(1, 20)] == CHUNKS[:2]
            await world.refused("PAYMENT_REQUIRED", world.buy(2, 20))
            assert await world.buy(2, 30) == CHUNKS[2]
            assert await world.buy(3, 45) == CHUNKS[3]
            assert (world.row["delivered"], world.row["promised"]) == (hex(40), hex(45))

    world.run(work())


def test_a_promise_beyond_the_deposit_buys_nothing_and_is_kept_as_evidence(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling():
            await world.shake()
            await world.buy(0, 20)
            found = await world.refused("DEPOSIT_DRAINED", world.buy(1, 1001))
            assert found["retryAfterBlocks"] is None
            (kept,) = world.store.load()
            assert kept.evidence == world.payment(1001)
            assert kept.delivered == 10
            await world.until(lambda: world.row["status"] == "slashed")
            assert world.record.paid == 1000, "all that remained"

    world.run(work())


# What was paid for is given again


def test_a_repeated_request_costs_nothing_also_after_a_restart(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            await world.shake()
            for index in (0, 1, 0, 1, 0):
                assert await world.buy(index, 20) == CHUNKS[index]
            assert cacher.desk.counts == {"payments": 2, "repeats": 3, "handshakes": 1}
            assert world.row["delivered"] == hex(20)
            world.rpc.is_sealing = False  # so that nothing is settled at the end
            cacher._settings = type(cacher._settings)(PRICE, stop_seconds=0.05)
        async with world.selling():
            assert world.row["delivered"] == hex(20)
            assert await world.buy(1, 20) == CHUNKS[1]

    world.run(work())


def test_one_payment_that_is_shown_twice_at_once_buys_one_chunk(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling():
            await world.shake()
            await world.buy(0, 20)
            await world.buy(1, 20)
            asked = [world.buy(index, 30) for index in range(2, 12)]
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert sum(isinstance(answer, bytes) for answer in found) == 1
            reasons = {answer.reason for answer in found if isinstance(answer, Refused)}
            assert reasons == {"PAYMENT_REQUIRED"}
            assert world.row["delivered"] == hex(30)

    world.run(work())


# The disk


class GatedDisk(MemoryKeyValue):
    """Every write waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(MemoryDisk())
        self.gate = threading.Semaphore(1)  # for the store's identity

    def write(self, puts_and_deletes: Iterable[tuple[bytes, bytes | None]]) -> None:
        self.gate.acquire()
        super().write(puts_and_deletes)


def test_nothing_leaves_before_its_payment_is_on_disk(world: SellingWorld) -> None:
    disk = GatedDisk()

    async def work() -> None:
        async with world.selling(disk=disk) as cacher:
            await world.shake()
            first = asyncio.create_task(world.buy(0, 20))
            again = asyncio.create_task(world.buy(0, 20))
            other = asyncio.create_task(world.buy(1, 20))
            await asyncio.sleep(0.05)
            assert not any(asked.done() for asked in (first, again, other))
            assert [*cacher._store.load()] == []
            disk.gate.release(1000)
            assert [*await asyncio.gather(first, again, other)] == [CHUNKS[0], CHUNKS[0], CHUNKS[1]]
            (kept,) = cacher._store.load()
            assert isinstance(kept, Book)
            assert (kept.best, kept.delivered) == (world.payment(20), 20)

    world.run(work())


def test_a_disk_that_fails_ends_the_selling(world: SellingWorld) -> None:
    # The first write is the store's identity.
    disk = faulty(writes={2: Fault(StorageFailure("no space left"))})

    async def work() -> None:
        async with world.selling(disk=disk):
            await world.shake()
            found = await world.refused("NOT_READY", world.buy(0, 20))
            assert "no space left" in found["given"]
            await world.refused("NOT_READY", world.buy(1, 20))
            await world.refused("NOT_READY", world.cacher.desk.handshake({}))
            await asyncio.sleep(3600)

    with pytest.raises(ExceptionGroup) as caught:
        world.run(work())
    assert "no space left" in str(caught.value.exceptions[0])
    assert world.rpc.submitted == [], "nothing is signed any more"


def test_a_disk_that_cannot_be_read_sells_nothing(world: SellingWorld) -> None:
    disk = MemoryKeyValue(MemoryDisk(), Faults())

    async def work() -> None:
        async with world.selling(disk=disk):
            await world.shake()
            await world.buy(0, 20)
            world.store._paid.clear()
            session = disk._session
            session.faults = Faults(reads={session.reads + 1: Fault(StorageFailure("a bad sector"))})
            found = await world.refused("NOT_READY", world.buy(1, 20))
            assert "a bad sector" in found["given"]

    world.run(work())


# When nothing is sold


def test_nothing_is_sold_while_the_chain_is_out_of_sight(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            await world.shake()
            world.link._seen_at -= 100
            world.link.away = "no answer"
            found = await world.refused("NOT_READY", world.buy(0, 20))
            assert (found["expected"], found["given"]) == ("a node that answers", "no answer")
            await world.refused("NOT_READY", cacher.desk.handshake({}))
            world.link.away = None
            assert await world.buy(0, 20) == CHUNKS[0]

    world.run(work())


def test_nothing_is_sold_at_the_end(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            await world.shake()
            cacher.desk.is_closing = True
            found = await world.refused("NOT_READY", world.buy(0, 20))
            assert found["given"] == "it is stopping"

    world.run(work())


# What is not on the shelf


def test_nothing_is_fetched_for_a_payment_that_will_not_do(world: SellingWorld, tmp_path: Path) -> None:
    asked: list[str] = []

    async def origin(request: web.Request) -> web.Response:
        asked.append(request.path)
        if "/chunk/" in request.path and not request.path.endswith("/3"):
            return web.Response(body=CHUNKS[int(request.path.rsplit("/", 1)[1])])
        return web.json_response({"reason": "BROKEN"}, status=500)

    def chunks() -> list[str]:
        return [path.rsplit("/", 1)[1] for path in asked if "/chunk/" in path]

    world.folder = tmp_path / "empty"
    world.put_on_shelf(empty=True)

    async def work() -> None:
        async with serving(origin) as url, world.selling(origin=url):
            await world.shake()
            await world.refused("PAYMENT_REQUIRED", world.buy(2, 19))
            await world.refused("CAP_REACHED", world.buy(2, 501))
            assert chunks() == []
            assert await world.buy(2, 20) == CHUNKS[2]
            assert chunks() == ["2"]
            found = await world.refused("CHUNK_UNAVAILABLE", world.buy(3, 20))
            assert found["expected"] == "an origin that gives this chunk"
            assert world.row["delivered"] == hex(10), "what was not given is not paid for"
            assert await world.buy(4, 20) == CHUNKS[4]

    world.run(work())


def test_handshakes_wait_for_each_other_and_all_are_answered(
    world: SellingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HANDSHAKES_AT_ONCE", 1)

    async def work() -> None:
        async with world.selling() as cacher:
            body = await world.documents()
            found = await asyncio.gather(*(cacher.desk.handshake(body) for _ in range(8)))
            assert all(answer == found[0] for answer in found)
            assert len([*cacher.accounts]) == 1

    world.run(work())


def test_refusals_are_counted_by_their_reason(world: SellingWorld) -> None:
    async def work() -> None:
        async with world.selling() as cacher:
            for reason in ("PAYMENT_REQUIRED", "POOL_CLOSED", "PAYMENT_REQUIRED"):
                cacher.desk.count_refusal(Refused(reason, "something"))
            assert cacher.status()["refusals"] == {"PAYMENT_REQUIRED": 2, "POOL_CLOSED": 1}

    world.run(work())
