"""One peer over a real socket, and every answer it may give: what is signed for it, and when it is left for what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from crypto.address import checksum_address
from peers import seller as module
from peers.payer_ledger import PayerLedger
from peers.payment import Payment, Promise
from peers.purse import Past
from peers.seller import Busy, Left, NotThere, Offer, Seller, Terms, offer_of, read_offer
from peers.transfer import open_session

from .books import DOMAIN, POOL_ID, STRANGER
from .scripted_peer import (
    CONTENT,
    DEPOSIT,
    FIRST,
    MANIFEST,
    PRICE,
    SILENCE,
    TARGET,
    Peer,
    agreed,
    chunk,
    dealing,
    demand,
    left,
    shown,
)
from .serving import run, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(module, "_STALE_PAUSE_SECONDS", 0.001)


async def buying(seller: Seller) -> None:
    await seller.shake_hands()
    for index in range(3):
        assert await seller.buy(index) == chunk(index)


# The handshake


def test_the_documents_are_shown_and_the_terms_are_taken(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer()
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            assert peer.handshakes == [
                {
                    "version": 1,
                    "resourceId": f"0x{MANIFEST.resource_id.hex()}",
                    "creation": 1,
                    "poolState": 2,
                    "targetState": {"record": None},
                }
            ]
            account = seller.account
            assert (account.price, account.first_amount, account.promised, account.is_first) == (PRICE, FIRST, 0, True)

    run(work())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((400, {"reason": "BAD_PROOF"}), "handshake refused: BAD_PROOF"),
        ((409, {"reason": "POOL_CLOSED"}), "handshake refused: POOL_CLOSED"),
        ((402, {}), "handshake refused: no reason"),
        (agreed(target=checksum_address(STRANGER.address)), "is not who it said|and not who it said"),
        (agreed(pricePerChunk=hex(PRICE + 1)), "too dear"),
        (agreed(firstAmount=hex(101)), "too dear"),
        (agreed(pricePerChunk=10), "handshake not understood: pricePerChunk"),
        (agreed(firstAmount=None), "handshake not understood: firstAmount"),
        (agreed(tgtSeq="0x0"), "handshake not understood: tgtSeq"),
        (agreed(tgtSeq=hex(1 << 64)), "handshake not understood: tgtSeq"),
        (agreed(target="0x12"), "handshake not understood"),
        ((200, {"target": checksum_address(TARGET)}), "handshake not understood"),
        ((200, []), "handshake not understood"),
        (b"\xff", "handshake not understood"),
    ],
)
def test_a_handshake_that_is_not_right_costs_nothing(tmp_path: Path, answer: Any, says: str) -> None:
    peer = Peer(shakes=[answer])
    found = left(peer, tmp_path, lambda seller: seller.shake_hands())
    assert any(part in found.verdict.reason for part in says.split("|")), found.verdict
    assert (found.verdict.lost, found.verdict.cheat) == (0, False)
    assert (tmp_path / "pool.ledger").read_text().count("\n") == 1, "nothing was promised"


def test_stale_documents_are_fetched_anew(tmp_path: Path) -> None:
    stale = (409, {"reason": "STALE_PROOF"})

    async def work() -> None:
        peer = Peer(shakes=[stale, stale, agreed()])
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            assert len(peer.handshakes) == 3

    run(work())
    assert left(Peer(shakes=[stale]), tmp_path, lambda seller: seller.shake_hands()).verdict.reason.endswith(
        "STALE_PROOF"
    )


def test_what_the_chain_or_an_own_payment_says_was_promised_counts(tmp_path: Path) -> None:
    async def work() -> None:
        for proven, last, promised in (("0x5", None, 5), ("0x0", shown(70), 70), ("0x5", shown(70), 70)):
            (tmp_path / "pool.ledger").unlink(missing_ok=True)
            with PayerLedger(tmp_path / "pool.ledger", "chain", DEPOSIT) as before:
                before.promise(POOL_ID, TARGET, 90, 1)
            peer = Peer(shakes=[agreed(lastPayment=last, tgtSeq="0x2")])
            async with dealing(peer, tmp_path, record={"paid": proven}) as seller:
                await seller.shake_hands()
                assert (seller.account.promised, seller.spent) == (promised, 0)
                assert (seller.account.is_first, seller.account.is_credit_known) == (False, False)

    run(work())


def test_a_payment_that_somebody_else_signed_is_not_believed(tmp_path: Path) -> None:
    forged = f"0x{Payment.sign(Promise(TARGET, 900, POOL_ID, 1), STRANGER, DOMAIN).encode().hex()}"

    async def work() -> None:
        async with dealing(Peer(shakes=[agreed(lastPayment=forged)]), tmp_path) as seller:
            await seller.shake_hands()
            assert seller.account.promised == 0

    run(work())


# Buying


def test_each_chunk_is_paid_for_with_the_credit_first(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(sells=[chunk(0), chunk(1), chunk(2)])
        async with dealing(peer, tmp_path) as seller:
            await buying(seller)
            assert peer.amounts == [(20, 1), (20, 1), (30, 1)]
            assert (seller.spent, seller.account.bought, seller.account.exposure) == (30, 3, 0)

    run(work())


@pytest.mark.parametrize("lost", [[None], [None, None], [(503, {"reason": "NOT_READY"})]])
def test_after_a_lost_reply_the_same_payment_is_sent_again(tmp_path: Path, lost: list[Any]) -> None:
    async def work() -> None:
        peer = Peer(sells=[*lost, chunk(0)])
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            assert await seller.buy(0) == chunk(0)
            assert peer.amounts == [(20, 1)] * (1 + len(lost))

    run(work())


def test_a_pause_that_a_peer_asks_for_is_made(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(sells=[(503, {"reason": "NOT_READY"}), chunk(0)], headers={"Retry-After": "1"})
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            loop = asyncio.get_running_loop()
            before = loop.time()
            await seller.buy(0)
            assert loop.time() - before >= 1

    run(work())


def test_a_demand_within_the_bound_is_met_and_one_beyond_it_is_a_cheat(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(shakes=[agreed(firstAmount="0x5")], sells=[demand("PAYMENT_REQUIRED", 10), chunk(0)])
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            assert await seller.buy(0) == chunk(0)
            assert peer.amounts == [(10, 1), (10, 1)]

    run(work())
    (tmp_path / "pool.ledger").unlink()
    greedy = Peer(sells=[demand("PAYMENT_REQUIRED", 21)])
    found = left(greedy, tmp_path, buying)
    assert (found.verdict.cheat, found.verdict.lost) == (True, 20)
    assert greedy.amounts == [(20, 1)], "and it was not paid more"


def test_a_total_that_was_signed_before_is_offered_again_and_who_wants_more_for_it_is_left(tmp_path: Path) -> None:
    """A cacher that was restarted just then never got it, and is no cheat; one that did get it is not paid twice."""
    past = Past(debt=max(PRICE, FIRST), promised=90)
    with PayerLedger(tmp_path / "pool.ledger", "chain", DEPOSIT) as before:
        before.promise(POOL_ID, TARGET, 90, 1)

    async def work() -> None:
        peer = Peer(sells=[chunk(0)])
        async with dealing(peer, tmp_path, past=past) as seller:
            await seller.shake_hands()
            assert await seller.buy(0) == chunk(0)
            assert (peer.amounts, seller.spent) == ([(90, 1)], 0)

    run(work())
    greedy = Peer(sells=[demand("PAYMENT_REQUIRED", 90 + PRICE)])
    found = left(greedy, tmp_path, buying, past=past)
    assert (found.verdict.cheat, greedy.amounts) == (False, [(90, 1)])


def test_another_number_is_signed_for_the_same_total(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(sells=[demand("WRONG_SEQUENCE", 20, 3), chunk(0)])
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            await seller.buy(0)
            assert peer.amounts == [(20, 1), (20, 3)]

    run(work())


def test_a_capped_peer_wants_a_pause_and_the_chunk_is_not_paid(tmp_path: Path) -> None:
    async def work() -> None:
        for blocks, seconds in (("0x3", 1.5), ("0x0", 0.5), (None, 0.5), ("words", 0.5), ("0xffffffff", 30.0)):
            peer = Peer(sells=[demand("CAP_REACHED", 20, retryAfterBlocks=blocks)])
            async with dealing(peer, tmp_path) as seller:
                await seller.shake_hands()
                with pytest.raises(Busy) as caught:
                    await seller.buy(0)
                assert caught.value.seconds == seconds
                assert (seller.account.on_the_way, seller.account.credit) == (0, 20)
            (tmp_path / "pool.ledger").unlink()

    run(work())


def test_a_peer_that_has_forgotten_us_gets_another_handshake_and_no_second_first_payment(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(sells=[(403, {"reason": "NO_HANDSHAKE"}), chunk(0)])
        async with dealing(peer, tmp_path) as seller:
            await seller.shake_hands()
            assert await seller.buy(0) == chunk(0)
            assert len(peer.handshakes) == 2
            assert peer.amounts == [(20, 1), (20, 1)]

    run(work())


@pytest.mark.parametrize(
    "second", [(400, {"reason": "STALE"}), (200, {}), agreed(target=checksum_address(STRANGER.address))]
)
def test_what_a_peer_has_had_is_lost_also_when_it_refuses_another_handshake(tmp_path: Path, second: Any) -> None:
    peer = Peer(shakes=[agreed(), second], sells=[(403, {"reason": "NO_HANDSHAKE"})])
    assert left(peer, tmp_path, buying).verdict.lost == 20


def test_each_part_of_an_answer_is_a_sign_of_life(tmp_path: Path) -> None:
    async def work() -> None:
        parts: list[None] = []
        async with dealing(Peer(sells=[chunk(0)]), tmp_path, on_part=lambda: parts.append(None)) as seller:
            await seller.shake_hands()
            before = len(parts)
            await seller.buy(0)
            assert len(parts) > before > 0

    run(work())


def test_a_peer_that_changes_its_price_meanwhile_is_left(tmp_path: Path) -> None:
    peer = Peer(shakes=[agreed(), agreed(firstAmount="0x32")], sells=[(403, {"reason": "NO_HANDSHAKE"})])
    found = left(peer, tmp_path, buying)
    assert (found.verdict.reason, found.verdict.lost) == ("has changed its price", 20)


@pytest.mark.parametrize("answer", [(404, {"reason": "UNKNOWN_CHUNK"}), (503, {"reason": "CHUNK_UNAVAILABLE"})])
def test_a_chunk_that_is_not_there_is_credit_again(tmp_path: Path, answer: Any) -> None:
    async def work() -> None:
        async with dealing(Peer(sells=[answer]), tmp_path) as seller:
            await seller.shake_hands()
            with pytest.raises(NotThere):
                await seller.buy(0)
            assert (seller.account.on_the_way, seller.account.credit) == (0, 20)

    run(work())


@pytest.mark.parametrize(
    ("answers", "says", "cheat"),
    [
        ([b"9876543210"], "cheated: 10 bytes are not chunk 0", True),
        ([b""], "cheated: 0 bytes are not chunk 0", True),
        ([CONTENT[10:20]], "cheated", True),
        ([b"x" * 100_000], "more than 65536 bytes", False),
        ([None], "broke off: Server disconnected", False),
        ([(503, {"reason": "NOT_READY"})], "refused: 503 NOT_READY", False),
        ([(409, {"reason": "POOL_CLOSED"})], "refused: 409 POOL_CLOSED", False),
        ([(403, {"reason": "BAD_PAYMENT"})], "refused: 403 BAD_PAYMENT", False),
        ([(402, {"reason": "DEPOSIT_DRAINED"})], "refused: 402 DEPOSIT_DRAINED", False),
        ([(402, {"reason": "PAYMENT_REQUIRED"})], "no amount to pay", False),
        ([demand("PAYMENT_REQUIRED", 20)], "no chunk after 8 answers", False),
        ([(402, {"reason": "WRONG_SEQUENCE"})], "no number to sign with", False),
        ([(402, {"reason": "WRONG_SEQUENCE", "tgtSeq": "0x0"})], "no number to sign with", False),
        ([(302, {})], "refused: 302", False),
        ([(500, [])], "refused: 500 no reason", False),
    ],
)
def test_what_a_peer_costs_that_takes_and_does_not_give(
    tmp_path: Path, answers: list[Any], says: str, cheat: bool
) -> None:
    """Never more than was promised at first, and only bytes that are wrong prove a cheat."""
    found = left(Peer(sells=answers), tmp_path, buying)
    assert says in found.verdict.reason
    assert (found.verdict.lost, found.verdict.cheat) == (FIRST, cheat)


def test_silence_is_waited_for_three_times(tmp_path: Path) -> None:
    peer = Peer(sells=[SILENCE])
    found = left(peer, tmp_path, buying, terms=Terms(PRICE, 100, reply_seconds=0.05))
    assert (found.verdict.reason, found.verdict.lost) == ("no answer within 0.05 seconds", FIRST)
    assert peer.amounts == [(20, 1)] * 3
    shaking = Peer(shakes=[SILENCE])
    found = left(shaking, tmp_path, buying, terms=Terms(PRICE, 100, reply_seconds=0.05))
    assert (len(shaking.handshakes), found.verdict.lost) == (3, 0)


def test_a_deposit_that_is_used_up_ends_it_without_a_promise(tmp_path: Path) -> None:
    async def work() -> None:
        async with dealing(Peer(), tmp_path) as seller:
            await seller.shake_hands()
            seller._purse.ledger.promise(POOL_ID, STRANGER.address, DEPOSIT - FIRST + 1, 1)
            with pytest.raises(Left, match="the deposit is used up") as caught:
                await seller.buy(0)
            assert (caught.value.verdict.lost, seller.spent) == (0, 0)

    run(work())


# Offers


def test_a_peer_of_which_only_the_url_is_known_says_who_it_is() -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.path != f"/offer/0x{MANIFEST.resource_id.hex()}":
            return web.json_response({"reason": "UNKNOWN_RESOURCE"}, status=404)
        return web.json_response({"target": checksum_address(TARGET), "pricePerChunk": "0xa", "firstAmount": "0x1"})

    async def work() -> None:
        async with serving(handle) as url, open_session() as session:
            assert await read_offer(session, url, MANIFEST.resource_id, 1.0) == Offer(url, TARGET, 10)
            assert await read_offer(session, url, bytes(32), 1.0) is None
            assert await read_offer(session, "http://127.0.0.1:1", MANIFEST.resource_id, 1.0) is None

    run(work())


@pytest.mark.parametrize(
    "found", [None, [], {}, {"url": 1}, {"url": "u"}, {"url": "u", "target": 1, "pricePerChunk": "0x1"}]
)
def test_what_is_no_offer_is_none(found: object) -> None:
    assert offer_of(found) is None
