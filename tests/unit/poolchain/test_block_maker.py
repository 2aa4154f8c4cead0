"""When a block's batch is synced: after whoever waited was told, before the next block is recorded."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from storage.kv import StorageFailure
from storage.memory import Fault
from tests.model.small_chain import ALICE_KEY, CAROL
from tests.node_bench import NodeBench, text

if TYPE_CHECKING:
    from ledger.executed import ExecutedBlock


def _committed(bench: NodeBench, *, after: int) -> dict[str, Any]:
    """The answer to a submission that waits for its block, on a node that seals on transaction."""
    raw = bench.transfer(ALICE_KEY, CAROL, 5, nonce=after)

    async def submit() -> dict[str, Any]:
        running = asyncio.create_task(bench.node.maker.run())
        answer = await bench.ask("tx_submit", text(raw), "committed")
        await bench.node.maker.stop()
        await running
        return answer

    return bench.runner.run(submit())


@pytest.mark.interpreted
def test_who_waits_is_told_before_the_batch_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    with closing(NodeBench(sealing="on-transaction")) as bench:
        sync, keep = bench.store.sync, bench.node.recent_blocks.keep

        def sync_spy() -> None:
            order.append("sync")
            sync()

        def keep_spy(executed: ExecutedBlock) -> None:
            order.append("told")
            keep(executed)

        monkeypatch.setattr(bench.store, "sync", sync_spy)
        monkeypatch.setattr(bench.node.recent_blocks, "keep", keep_spy)
        assert _committed(bench, after=0)["result"]["receipt"]["outcome"] == "transferred"
        assert order == ["sync", "told", "sync"], "what came before, then the block, then its own"
        assert bench.disk.cut_power() == 0


def test_every_way_to_make_blocks_syncs_them() -> None:
    with closing(NodeBench()) as bench:
        for make in (bench.mine, lambda: bench.commit(bench.transfer(ALICE_KEY, CAROL, 5)), lambda: bench.mine(700)):
            make()
            bench.node.maker._writer.submit(bool).result()  # whatever it had to do before is done
            assert bench.disk.cut_power() == 0
        assert bench.node.readiness() is None


def test_a_sync_that_fails_stops_the_node_and_takes_no_answer_back() -> None:
    with closing(NodeBench(sealing="on-transaction")) as bench:
        bench.syncs[bench.kv.syncs + 2] = Fault(StorageFailure("no space left"))
        answer = _committed(bench, after=0)
        assert answer["result"]["receipt"]["outcome"] == "transferred"
        assert bench.node.readiness() == "no space left"
        data = bench.refuse("STORAGE_FAILED", -32002, "tx_submit", text(bench.transfer(ALICE_KEY, CAROL, 5, nonce=1)))
        assert "no space" not in str(data)
        assert bench.node.view().height == 1


def test_a_call_that_makes_blocks_while_the_node_stops_is_told_so_and_what_is_begun_is_finished() -> None:
    async def stop_in_the_middle(bench: NodeBench, count: int) -> dict[str, Any]:
        maker = bench.node.maker
        running = asyncio.create_task(maker.run())
        making = asyncio.create_task(bench.ask("dev_mine", hex(count)))
        for _ in range(100):
            if not maker._turn.locked():
                await asyncio.sleep(0)
        await maker.stop()
        await running
        return await making

    for count, made in ((1, 1), (1_500, 500)):
        with closing(NodeBench()) as bench:
            answer = bench.runner.run(stop_in_the_middle(bench, count))
            assert bench.node.view().height == made
            assert bench.disk.cut_power() == 0
            assert bench.node.readiness() is None
            assert "result" in answer if made == count else answer["error"]["data"]["reason"] == "STORAGE_FAILED"
