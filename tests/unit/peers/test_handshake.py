"""Each refusal of a handshake with its reason, and a twin of it that is accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from ledger.records import PoolStatus, Target
from light.documents import read_document
from light.handshake import ProvenPool
from light.verify import Trust
from peers.handshake import (
    HandshakeRequest,
    Terms,
    Vantage,
    agreement,
    book_of,
    check,
    fresh_seconds,
    judge,
    last_payment,
)
from peers.refused import STATUS, Refused
from tests.model.small_chain import ALICE, BOB, BOB_KEY, CAROL, RESOURCE
from tests.node_bench import NodeBench, text

from .books import CAPS, CREATOR, POOL, TERMS, book, pay, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from light.documents import SealedHeader

Json = dict[str, Any]
HEIGHT: Final = 10
CHAIN_TERMS: Final = Terms(
    resource_id=RESOURCE,
    price_per_chunk=10,
    chunk_count=100,
    first_amount=20,
    settlement_fee=10,
    reward=100,
    margin_blocks=5,
    block_interval=1,
)


class Served(NamedTuple):
    """A chain with Alice's pools, and the vantage of Bob, who sells."""

    bench: NodeBench
    pools: dict[str, str]
    vantage: Vantage

    def request(self, pool: str = "good", target: bytes = BOB, *, block: str = "latest") -> HandshakeRequest:
        name = self.pools[pool]
        key = {"cptxHash": name}
        return HandshakeRequest(
            RESOURCE,
            self.bench.call("proof_getTransaction", name, block),
            self.bench.call("proof_getState", key, block),
            self.bench.call("proof_getState", {**key, "target": text(target)}, block),
        )

    def accept(self, request: HandshakeRequest, terms: Terms = CHAIN_TERMS, **vantage: Any) -> ProvenPool:
        return check(request, terms, replace(self.vantage, **vantage))

    def refuse(
        self, reason: str, request: HandshakeRequest, terms: Terms | None = CHAIN_TERMS, **vantage: Any
    ) -> Refused:
        with pytest.raises(Refused) as caught:
            check(request, terms, replace(self.vantage, **vantage))
        assert (caught.value.reason, caught.value.status) == (reason, STATUS[reason])
        assert caught.value.to_json().keys() >= {"reason", "expected", "given"}
        return caught.value


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    bench = NodeBench()
    pools = {
        "good": bench.new_pool(1000, 1111, 50),
        "small": bench.new_pool(999, 5000, 50),
        "unrewarded": bench.new_pool(1000, 1110, 50),
        "short": bench.new_pool(1000, 1111, 12),
        "other": bench.new_pool(1000, 1111, 50, resource=bytes(32)),
        "slashed": bench.new_pool(1000, 1111, 50),
    }
    bench.commit(bench.payment(BOB_KEY, pools["slashed"], 1001))
    bench.commit(bench.payment(BOB_KEY, pools["good"], 300))
    bench.mine(HEIGHT - bench.node.view().height)
    trust = Trust(bench.genesis.authority, bench.domain.genesis_hash)
    head = head_of(bench)
    yield Served(bench, pools, Vantage(BOB, trust, head, float(head.header.timestamp)))
    bench.close()


def head_of(bench: NodeBench, block: str = "latest") -> SealedHeader:
    document = read_document(bench.call("proof_getState", {"burned": True}, block))
    found: SealedHeader = document.block  # type: ignore[union-attr]  # a state document
    return found


# Accepted


def test_a_good_pool_is_proven(served: Served) -> None:
    proven = served.accept(served.request())
    assert text(proven.cptx_hash) == served.pools["good"]
    assert (proven.pool.creator, proven.pool.remaining, proven.target) == (ALICE, 700, Target(1, 300))
    assert proven.head.header.height == HEIGHT


def test_a_target_that_has_had_nothing_begins_at_one(served: Served) -> None:
    proven = served.accept(served.request(target=CAROL), target=CAROL)
    assert book_of(proven, CAROL).next_seq == 1


def test_the_request_is_the_same_after_json(served: Served) -> None:
    request = served.request()
    assert HandshakeRequest.from_json(request.to_json()) == request
    assert served.accept(HandshakeRequest.from_json(request.to_json())) == served.accept(request)


# MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(version=2),
        lambda body: body.update(version=True),
        lambda body: body.update(version="1"),
        lambda body: body.update(more=1),
        lambda body: body.pop("creation"),
        lambda body: body.update(resourceId="0x00"),
        lambda body: body.update(resourceId=7),
        lambda body: body.update(resourceId="0x" + "AB" * 32),
    ],
)
def test_the_body_has_exactly_its_members(served: Served, change: Callable[[Json], object]) -> None:
    body = served.request().to_json()
    change(body)
    with pytest.raises(Refused) as caught:
        HandshakeRequest.from_json(body)
    assert (caught.value.reason, caught.value.status) == ("MALFORMED", 400)


@pytest.mark.parametrize("body", [None, 1, "text", [], [{}], {}])
def test_the_body_is_an_object(body: object) -> None:
    with pytest.raises(Refused, match="MALFORMED"):
        HandshakeRequest.from_json(body)


# In the order of the protocol


def test_a_resource_that_is_not_served(served: Served) -> None:
    served.refuse("UNKNOWN_RESOURCE", served.request(), None)
    served.refuse("UNKNOWN_RESOURCE", served.request(), replace(CHAIN_TERMS, resource_id=bytes(32)))
    nothing = HandshakeRequest(bytes(32), None, None, None)
    served.refuse("UNKNOWN_RESOURCE", nothing)


@pytest.mark.parametrize("part", ["creation", "pool_state", "target_state"])
@pytest.mark.parametrize("value", [None, 1, [], {}, {"version": 1, "kind": "state"}, {"kind": []}])
def test_a_document_that_is_none(served: Served, part: str, value: object) -> None:
    changes: Json = {part: value}
    refused = served.refuse("BAD_PROOF", replace(served.request(), **changes))
    assert refused.extra["data"]["reason"] == "MALFORMED"


def test_documents_that_do_not_belong_together(served: Served) -> None:
    good, other = served.request(), served.request("small")
    refused = served.refuse("BAD_PROOF", replace(good, pool_state=other.pool_state))
    assert refused.to_json()["data"]["reason"] == "WRONG_POOL"
    served.refuse("BAD_PROOF", replace(good, target_state=served.request(target=CAROL).target_state))
    served.refuse("BAD_PROOF", replace(good, pool_state=served.request(block=hex(HEIGHT - 1)).pool_state))


def test_documents_of_another_chain_or_authority(served: Served) -> None:
    trust = served.vantage.trust
    served.refuse("BAD_PROOF", served.request(), trust=Trust(BOB, trust.genesis_hash))
    refused = served.refuse("BAD_PROOF", served.request(), trust=Trust(trust.authority, bytes(32)))
    assert refused.extra["data"]["reason"] == "WRONG_CHAIN"


def test_another_block_of_the_known_height(served: Served) -> None:
    other = replace(served.vantage.newest, hash=bytes(32))
    refused = served.refuse("BAD_PROOF", served.request(), newest=other)
    assert refused.extra["data"]["reason"] == "WRONG_HISTORY"


def test_a_head_that_is_old_and_not_the_newest(served: Served) -> None:
    old = served.request(block=hex(HEIGHT - 1))
    made = read_document(old.pool_state).block.header.timestamp  # type: ignore[union-attr]
    served.accept(old, now=made + 30.0)
    refused = served.refuse("STALE_PROOF", old, now=made + 30.1)
    assert "30 seconds" in refused.expected
    slow = replace(CHAIN_TERMS, block_interval=60)
    served.accept(old, slow, now=made + 360.0)
    served.refuse("STALE_PROOF", old, slow, now=made + 361.0)


def test_the_newest_head_is_fresh_however_old(served: Served) -> None:
    served.accept(served.request(), now=served.vantage.now + 10**6)


def test_a_younger_head_than_the_cachers_own_is_fresh(served: Served) -> None:
    served.accept(served.request(), newest=head_of(served.bench, hex(HEIGHT - 1)), now=served.vantage.now + 10**6)


def test_a_cacher_whose_clock_is_behind_takes_old_documents_and_asks_its_node(served: Served) -> None:
    """It is not fooled by it: what it does not know yet it asks its node about, and the newer state holds."""
    old = served.request(block=hex(HEIGHT - 1))
    served.accept(old, now=served.vantage.now - 10**6)
    served.accept(served.request(), now=served.vantage.now - 10**6)


@pytest.mark.parametrize(("interval", "seconds"), [(1, 30), (5, 30), (6, 36), (60, 360)])
def test_how_old_a_head_may_be(interval: int, seconds: int) -> None:
    assert fresh_seconds(interval) == seconds


def test_a_closed_pool(served: Served) -> None:
    refused = served.refuse("POOL_CLOSED", served.request("slashed"))
    assert refused.given == "slashed"


def test_a_pool_that_ends_within_the_margin(served: Served) -> None:
    """Created at 4 for 12 blocks it expires at 16: at height 10 the blocks 11 to 15 are left."""
    served.accept(served.request("short"))
    refused = served.refuse("POOL_CLOSED", served.request("short"), replace(CHAIN_TERMS, margin_blocks=6))
    assert refused.given == "5"


def test_the_margin_counts_from_the_newer_of_both_heads(served: Served) -> None:
    old = served.request("short", block=hex(HEIGHT - 1))
    served.refuse("POOL_CLOSED", old, replace(CHAIN_TERMS, margin_blocks=6))


def test_a_pool_of_the_cachers_own(served: Served) -> None:
    served.refuse("SELF_PAYMENT", served.request(target=ALICE), target=ALICE)


def test_a_pool_for_another_resource(served: Served) -> None:
    served.refuse("WRONG_RESOURCE", served.request("other"))


def test_a_deposit_below_the_price_of_the_whole(served: Served) -> None:
    refused = served.refuse("DEPOSIT_TOO_LOW", served.request("small"))
    assert (refused.expected, refused.given) == ("a deposit of at least 1000", "999")
    served.accept(served.request("small"), replace(CHAIN_TERMS, chunk_count=99))


def test_a_stream_has_to_be_covered_until_the_pool_expires(served: Served) -> None:
    """Created at 1 for 50 blocks: at height 10 the blocks 11 to 50 are left, 40 seconds."""
    live = replace(CHAIN_TERMS, chunk_count=0, price_per_chunk=25, live_chunk_seconds=1)
    served.accept(served.request(), live)
    served.refuse("DEPOSIT_TOO_LOW", served.request(), replace(live, price_per_chunk=26))
    served.accept(served.request(), replace(live, price_per_chunk=50, live_chunk_seconds=2))


def test_a_collateral_that_does_not_pay_for_reporting(served: Served) -> None:
    refused = served.refuse("COLLATERAL_TOO_LOW", served.request("unrewarded"))
    assert (refused.expected, refused.given) == ("a collateral of at least 1111", "1110")
    served.accept(served.request("unrewarded"), replace(CHAIN_TERMS, settlement_fee=9))
    served.accept(served.request("unrewarded"), replace(CHAIN_TERMS, reward=99))


def test_a_rest_that_does_not_cover_the_first_payment(served: Served) -> None:
    served.accept(served.request(), replace(CHAIN_TERMS, first_amount=700))
    refused = served.refuse("DEPOSIT_DRAINED", served.request(), replace(CHAIN_TERMS, first_amount=701))
    assert refused.given == "700"


def test_the_first_rule_that_is_broken_is_named() -> None:
    """A pool that is wrong in everything loses its faults one by one, in the order of the table."""
    seller = book().target
    wrong = book(
        status=PoolStatus.EXPIRED, expires_at=3, creator=seller, resource_id=bytes(32), deposit=1, collateral=2, spent=1
    )
    repairs: list[tuple[str, Json]] = [
        ("POOL_CLOSED", {"status": PoolStatus.OPEN}),
        ("POOL_CLOSED", {"expires_at": 500}),
        ("SELF_PAYMENT", {"creator": POOL.creator}),
        ("WRONG_RESOURCE", {"resource_id": POOL.resource_id}),
        ("DEPOSIT_TOO_LOW", {"deposit": 1000, "spent": 1000}),
        ("COLLATERAL_TOO_LOW", {"collateral": 2000}),
        ("DEPOSIT_DRAINED", {"spent": 0}),
    ]
    for reason, repair in repairs:
        with pytest.raises(Refused) as caught:
            judge(wrong, 1, TERMS)
        assert caught.value.reason == reason
        wrong = wrong._replace(pool=replace(wrong.pool, **repair))
    judge(wrong, 1, TERMS)


# The answer


def test_the_answer_says_what_to_pay_next() -> None:
    first = agreement(book(), TERMS)
    assert first == {
        "version": 1,
        "target": "0x" + first["target"][2:],
        "pricePerChunk": "0xa",
        "firstAmount": "0x14",
        "tgtSeq": "0x1",
        "paid": "0x0",
        "lastPayment": None,
    }
    settling = taken(book(), 100).begin_settlement(5)
    again = agreement(settling, TERMS)
    assert again["tgtSeq"] == "0x2"
    assert again["lastPayment"] == last_payment(settling) == text(pay(100).encode())


def test_a_known_pool_needs_only_the_next_chunk() -> None:
    known = taken(book(), 900, caps=replace(CAPS, share_of_deposit=(1, 1)))
    done = known.begin_settlement(5).follow(replace(POOL, spent=990), Target(1, 900), 2)
    judge(done, 2, TERMS)
    fresh = book(Target(1, 900), spent=990)
    with pytest.raises(Refused, match="DEPOSIT_DRAINED"):
        judge(fresh, 2, TERMS)
    assert CREATOR.address == POOL.creator
