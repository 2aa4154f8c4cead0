"""Events over a session: what is told, to whom, in which order, and to whom no longer."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from rpc import subscriptions as subscriptions_module
from rpc.limits import Limits
from rpc.session import Session
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, CAROL_KEY
from tests.node_bench import NodeBench, text

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
NO_POOL = "0x" + 64 * "0"


class Listener:
    """One WebSocket of a bench, without the socket."""

    def __init__(self, bench: NodeBench, limits: Limits | None = None) -> None:
        self.bench = bench
        self.session = bench.runner.run(self._open(limits or Limits()))

    @staticmethod
    async def _open(limits: Limits) -> Session:
        return Session(limits)

    def ask(self, method: str, *params: Any) -> Json:
        """The answer to one call."""
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = self.bench.runner.run(self.bench.dispatcher.answer(request.encode(), self.session))
        assert answer is not None
        found: Json = json.loads(answer)
        return found

    def subscribe(self, kind: str, **params: Any) -> str:
        found: str = self.ask("chain_subscribe", kind, params)["result"]
        return found

    def heard(self) -> list[Json]:
        """The params of all events so far."""
        self.bench.runner.run(settled(self.bench))
        messages = [json.loads(message) for message in self.session._queue]
        self.session._queue.clear()
        for message in messages:
            assert message.keys() == {"jsonrpc", "method", "params"}
            assert message["method"] == "chain_subscription"
            assert message["params"].keys() == {"subscription", "result"}
        return [message["params"] for message in messages]

    def results(self) -> list[Any]:
        return [event["result"] for event in self.heard()]


async def settled(bench: NodeBench) -> None:
    """Return when everything is told."""
    telling = bench.node.subscriptions._telling
    if telling is not None:
        await asyncio.wait([telling])


@pytest.fixture
def listener(bench: NodeBench) -> Listener:
    return Listener(bench)


# What is told


def test_new_heads_are_headers(bench: NodeBench, listener: Listener) -> None:
    bench.mine()
    name = listener.subscribe("newHeads")
    bench.mine(3)
    bench.commit(bench.transfer(ALICE_KEY, BOB, 1))
    assert listener.heard() == [
        {"subscription": name, "result": bench.call("chain_getHeader", hex(height))} for height in range(2, 6)
    ]


def test_transactions_come_with_their_receipts(bench: NodeBench, listener: Listener) -> None:
    listener.subscribe("transactions")
    pool = bench.new_pool()
    raws = [bench.transfer(ALICE_KEY, BOB, 1, nonce=1), bench.payment(BOB_KEY, pool, 300)]
    bench.commit(*raws)
    bench.mine()
    transactions = [*bench.call("chain_getBlock", "0x1", True)["transactions"]]
    transactions += bench.call("chain_getBlock", "0x2", True)["transactions"]
    assert len(transactions) == 3
    assert listener.results() == transactions
    assert all(transaction["receipt"] for transaction in transactions)


def test_the_life_of_a_pool_is_told(bench: NodeBench, listener: Listener) -> None:
    raw = bench.create(duration=5)
    pool = bench.submit(raw)
    name = listener.subscribe("pool", cptxHash=pool)
    bench.mine()
    created = bench.call("pool_get", pool)
    settlement = bench.commit(bench.payment(BOB_KEY, pool, 300))[0]
    settled_pool = bench.call("pool_get", pool)
    bench.new_pool()
    bench.mine(4)
    expired = bench.call("pool_get", pool)
    assert (settled_pool["spent"], expired["status"]) == ("0x12c", "expired")
    assert listener.heard() == [
        {"subscription": name, "result": result}
        for result in (
            {"event": "created", "pool": created, "transactionHash": pool, "blockHeight": "0x1"},
            {"event": "settled", "pool": settled_pool, "transactionHash": settlement, "blockHeight": "0x2"},
            {"event": "expired", "pool": expired, "transactionHash": None, "blockHeight": "0x6"},
        )
    ]


def test_a_slash_is_told(bench: NodeBench, listener: Listener) -> None:
    pool = bench.new_pool()
    listener.subscribe("pool", cptxHash=pool)
    name = bench.commit(bench.payment(BOB_KEY, pool, 1001))[0]
    slashed = bench.call("pool_get", pool)
    assert listener.results() == [{"event": "slashed", "pool": slashed, "transactionHash": name, "blockHeight": "0x2"}]
    assert slashed["status"] == "slashed"


def test_events_of_one_block_have_the_pool_after_it(bench: NodeBench, listener: Listener) -> None:
    """What is shown can be proven: states are committed to after blocks only."""
    pool = bench.new_pool()
    listener.subscribe("pool", cptxHash=pool)
    bench.commit(bench.payment(BOB_KEY, pool, 300), bench.payment(CAROL_KEY, pool, 200))
    events = listener.results()
    proven = bench.call("proof_getState", {"cptxHash": pool}, "0x2")["record"]
    assert [event["event"] for event in events] == ["settled", "settled"]
    assert [event["pool"] for event in events] == [proven, proven]
    assert proven["spent"] == hex(500)
    block = bench.call("chain_getBlock", "0x2")
    assert [event["transactionHash"] for event in events] == block["transactions"]


def test_events_of_a_block_have_an_order(bench: NodeBench, listener: Listener) -> None:
    """The head, then what expired, then transaction after transaction."""
    old = bench.new_pool(duration=2)
    names = {
        listener.subscribe("transactions"): "transaction",
        listener.subscribe("pool", cptxHash=old): "old pool",
        listener.subscribe("newHeads"): "head",
    }
    bench.mine()
    raw = bench.create()
    pool = bench.submit(raw)
    names[listener.subscribe("pool", cptxHash=pool)] = "new pool"
    bench.mine()
    assert [names[event["subscription"]] for event in listener.heard()] == [
        "head",
        "head",
        "old pool",
        "transaction",
        "new pool",
    ]


def test_a_large_block_is_told_whole_and_in_order(bench: NodeBench, listener: Listener) -> None:
    listener.subscribe("transactions")
    hashes = bench.commit(*(bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce) for nonce in range(100)))
    assert [event["hash"] for event in listener.results()] == hashes


# To whom


def test_everybody_hears_the_same(bench: NodeBench) -> None:
    listeners = [Listener(bench) for _ in range(3)]
    names = [listener.subscribe("newHeads") for listener in listeners]
    twice = listeners[0].subscribe("newHeads")
    assert len({*names, twice}) == 4
    bench.mine()
    header = bench.call("chain_getHeader", "0x1")
    assert [event["subscription"] for event in listeners[0].heard()] == [names[0], twice]
    for listener, name in zip(listeners[1:], names[1:], strict=True):
        assert listener.heard() == [{"subscription": name, "result": header}]


def test_blocks_before_the_subscription_are_not_told(bench: NodeBench) -> None:
    """Also where another subscriber is still being told of them."""
    first, second = Listener(bench), Listener(bench)
    first.subscribe("newHeads")

    async def mine_and_subscribe() -> None:
        await bench.ask("dev_mine", "0x5")
        request = {"jsonrpc": "2.0", "id": 1, "method": "chain_subscribe", "params": ["newHeads"]}
        await bench.dispatcher.answer(json.dumps(request).encode(), second.session)
        await bench.ask("dev_mine")

    bench.runner.run(mine_and_subscribe())
    assert [event["header"]["height"] for event in first.results()] == [hex(height) for height in range(1, 7)]
    assert [event["header"]["height"] for event in second.results()] == ["0x6"]


def test_a_pool_may_be_created_later(bench: NodeBench, listener: Listener) -> None:
    listener.subscribe("pool", cptxHash=NO_POOL)
    bench.new_pool()
    assert listener.heard() == []


def test_without_subscribers_nothing_is_made(bench: NodeBench, listener: Listener) -> None:
    name = listener.subscribe("newHeads")
    assert listener.ask("chain_unsubscribe", name)["result"] is True
    bench.mine()
    assert bench.node.subscriptions._telling is None
    assert not bench.node.subscriptions._of_topic


# Ends


def test_an_ended_subscription_is_silent(bench: NodeBench, listener: Listener) -> None:
    ended, other = listener.subscribe("newHeads"), listener.subscribe("transactions")
    assert listener.ask("chain_unsubscribe", ended)["result"] is True
    assert listener.ask("chain_unsubscribe", ended)["result"] is False
    bench.commit(bench.transfer(ALICE_KEY, BOB, 1))
    assert [event["subscription"] for event in listener.heard()] == [other]


def test_a_session_ends_its_own_subscriptions_only(bench: NodeBench, listener: Listener) -> None:
    name = listener.subscribe("newHeads")
    assert Listener(bench).ask("chain_unsubscribe", name)["result"] is False
    bench.mine()
    assert len(listener.heard()) == 1


def test_a_closed_session_has_no_subscriptions(bench: NodeBench, listener: Listener) -> None:
    listener.subscribe("newHeads")
    listener.subscribe("pool", cptxHash=NO_POOL)
    listener.session.close()
    subscriptions = bench.node.subscriptions
    assert not subscriptions._of_session
    assert not subscriptions._of_topic
    assert listener.ask("chain_subscribe", "newHeads")["result"]
    assert not subscriptions._of_topic


def test_a_reader_that_does_not_read_is_dropped_and_others_are_not(bench: NodeBench) -> None:
    slow, quick = Listener(bench, Limits(websocket_queue_max=3)), Listener(bench)
    for listener in (slow, quick):
        listener.subscribe("newHeads")
    bench.mine(5)
    assert len(quick.heard()) == 5
    assert slow.session.is_closed
    bench.mine()
    assert len(quick.heard()) == 1
    assert len(bench.node.subscriptions._of_session) == 1


def test_a_node_that_cannot_keep_up_says_so_by_closing(
    bench: NodeBench, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "BACKLOG_BLOCKS_MAX", 4)
    listener.subscribe("newHeads")
    bench.mine(5)
    assert listener.session.is_closed
    again = Listener(bench)
    again.subscribe("newHeads")
    bench.mine(4)
    assert len(again.heard()) == 4


def test_an_event_that_cannot_be_made_closes_the_sessions(
    bench: NodeBench, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.subscribe("newHeads")
    with monkeypatch.context() as patched:
        patched.setattr(subscriptions_module, "block_events", broken_events)
        bench.mine()
        bench.runner.run(settled(bench))
    assert listener.session.is_closed
    bench.mine()


def broken_events(*_: object) -> Iterator[None]:
    raise ValueError("out of order")


# Refusals


def test_subscriptions_of_a_session_are_limited() -> None:
    with closing(NodeBench(limits=Limits(websocket_subscriptions_max=2))) as bench:
        listener = Listener(bench)
        first = listener.subscribe("newHeads")
        listener.subscribe("newHeads")
        error = listener.ask("chain_subscribe", "newHeads")["error"]
        assert (error["code"], error["data"]["reason"]) == (-32005, "LIMIT")
        assert Listener(bench).subscribe("newHeads")
        listener.ask("chain_unsubscribe", first)
        assert listener.subscribe("transactions")


@pytest.mark.parametrize(
    "params",
    [
        [],
        ["newBlocks"],
        ["newHeads", []],
        ["newHeads", {"cptxHash": NO_POOL}],
        ["transactions", {"from": text(ALICE)}],
        ["pool"],
        ["pool", {}],
        ["pool", {"cptxHash": "0x12"}],
        ["pool", {"cptxHash": NO_POOL, "target": text(BOB)}],
        ["newHeads", {}, 1],
    ],
)
def test_other_parameters_are_refused(listener: Listener, params: list[Any]) -> None:
    error = listener.ask("chain_subscribe", *params)["error"]
    assert (error["code"], error["data"]["reason"]) == (-32602, "INVALID_PARAMS")


@pytest.mark.parametrize("params", [[], [1], ["0x" + 17 * "1"], [None]])
def test_other_names_of_subscriptions_are_refused(listener: Listener, params: list[Any]) -> None:
    assert listener.ask("chain_unsubscribe", *params)["error"]["code"] == -32602


@pytest.mark.parametrize("method", ["chain_subscribe", "chain_unsubscribe"])
def test_subscriptions_need_a_websocket(bench: NodeBench, method: str) -> None:
    error = bench.error(method, "newHeads")
    assert error["code"] == -32601
    assert "/ws" in error["message"]
