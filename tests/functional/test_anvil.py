"""The Solidity pool that Poolchain is compared with keeps the protocol's rules; its figures come with checks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import anvil
from benchmarks.anvil_calls import to_hex
from benchmarks.anvil_chain import ETHER, Chain, fresh_chain, pool_id
from benchmarks.anvil_load import Way
from benchmarks.anvil_market import Settlements, Transfers, create_pool, settle
from benchmarks.anvil_process import CHAIN_ID, FOLDER, bytecode, program
from benchmarks.ethereum import Item, Transaction, call_data, rlp
from benchmarks.figures import NotMeasured
from benchmarks.signed import key
from crypto.hashing import keccak256
from crypto.signature import SigningKey
from tests.js_oracle import give_up

CREATOR, TARGET, STRANGER = key(1), key(2), key(3)
POOL = pool_id(CREATOR.address, 0)
DEPOSIT = 10**18
DURATION = 30
FUNDS = 10 * ETHER
SETTLE = "settle(bytes32,uint128,uint64,bytes32,bytes32)"
EXPIRED = 2
SLASHED = 3


def error(signature: str, *values: int) -> str:
    """What the contract answers when it refuses for this reason."""
    return to_hex(call_data(signature, *values))


def need_anvil() -> None:
    try:
        program()
        bytecode()
    except NotMeasured as reason:
        give_up(str(reason))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """One pool of a deposit of one ether and a collateral of two."""
    need_anvil()
    with fresh_chain(tmp_path) as chain:
        chain.fund([CREATOR.address, TARGET.address, STRANGER.address], FUNDS)
        chain.send([create_pool(chain.contract, CREATOR, DEPOSIT, DURATION)])
        yield chain


def settlement(chain: Chain, amount: int, seq: int, signer: SigningKey = CREATOR, nonce: int = 0) -> bytes:
    promise = chain.contract.promise(signer, TARGET.address, amount, POOL, seq)
    return settle(chain.contract, TARGET, nonce, promise, (POOL, amount, seq))


def refusal(chain: Chain, sender: SigningKey, data: bytes) -> str:
    """The data of the revert that a call ends in."""
    sent = {"from": to_hex(sender.address), "to": to_hex(chain.contract.address), "data": to_hex(data)}
    with pytest.raises(RuntimeError) as caught:
        chain.caller.call("eth_call", sent, "latest")
    return str(caught.value)


def settle_data(chain: Chain, amount: int, seq: int, signer: SigningKey = CREATOR) -> bytes:
    promise = chain.contract.promise(signer, TARGET.address, amount, POOL, seq)
    return call_data(SETTLE, POOL, amount, seq, promise[:32], promise[32:])


def pool(chain: Chain) -> list[int]:
    return chain.read("pools(bytes32)", [(POOL,)])[0]


def balance(chain: Chain, address: bytes) -> int:
    return chain.balances([address])[0]


def cost(chain: Chain, raw: bytes) -> int:
    receipt = chain.receipts([raw])[0]
    return int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)


@pytest.mark.node
def test_settle_pays_what_is_due_of_the_total_and_refuses_the_rest(chain: Chain) -> None:
    first = settlement(chain, 300, 1)
    chain.send([first])
    second = settlement(chain, 1000, 2, nonce=1)
    chain.send([second])
    assert balance(chain, TARGET.address) == FUNDS + 1000 - cost(chain, first) - cost(chain, second)
    assert chain.read("targets(bytes32,address)", [(POOL, TARGET.address)]) == [[1000, 2]]
    assert pool(chain)[2:] == [1, DEPOSIT, 1000, DEPOSIT + ETHER]
    before = pool(chain)
    for amount, seq in ((300, 1), (1000, 2), (2000, 2), (2000, 4)):
        assert error("WrongSequence(uint64)", 3) in refusal(chain, TARGET, settle_data(chain, amount, seq))
    for amount in (1000, 999):
        assert error("NothingDue(uint128)", 1000) in refusal(chain, TARGET, settle_data(chain, amount, 3))
    bad_signature = error("BadSignature()")
    assert bad_signature in refusal(chain, TARGET, settle_data(chain, 2000, 3, STRANGER))
    garbage = call_data(SETTLE, POOL, 2000, 3, bytes(32), bytes(32))
    assert bad_signature in refusal(chain, TARGET, garbage)
    # Only the target can publish: to anybody else the promise was not made.
    stolen = chain.contract.promise(CREATOR, TARGET.address, 2000, POOL, 1)
    data = call_data(SETTLE, POOL, 2000, 1, stolen[:32], stolen[32:])
    assert bad_signature in refusal(chain, STRANGER, data)
    assert error("TargetIsCreator()") in refusal(chain, CREATOR, data)
    assert pool(chain) == before


@pytest.mark.node
def test_over_signing_burns_the_collateral_less_a_reward(chain: Chain) -> None:
    chain.send([first := settlement(chain, DEPOSIT // 4, 1)])
    chain.send([second := settlement(chain, DEPOSIT + 1, 2, nonce=1)])
    reward = ETHER - 1
    gained = balance(chain, TARGET.address) - FUNDS + cost(chain, first) + cost(chain, second)
    assert gained == DEPOSIT + reward
    # At least deposit + 1 always burns. anvil's tips go to the zero address as well.
    data = chain.receipts([second])[0]["logs"][0]["data"]
    assert [int(data[at : at + 64], 16) for at in range(2, len(data), 64)] == [DEPOSIT * 3 // 4, DEPOSIT + 1, reward]
    assert balance(chain, bytes(20)) >= DEPOSIT + 1
    assert balance(chain, chain.contract.address) == 0
    assert pool(chain)[2:5] == [SLASHED, DEPOSIT, DEPOSIT]
    assert error("PoolClosed()") in refusal(chain, TARGET, settle_data(chain, DEPOSIT + 2, 3))
    assert error("PoolClosed()") in refusal(chain, CREATOR, call_data("refund(bytes32)", POOL))


@pytest.mark.node
def test_refund_returns_deposit_and_collateral_after_the_expiry(chain: Chain) -> None:
    chain.send([settlement(chain, 1000, 1)])
    assert error("NotExpired()") in refusal(chain, CREATOR, call_data("refund(bytes32)", POOL))
    for _ in range(DURATION):
        chain.caller.call("evm_mine")
    assert error("PoolExpired()") in refusal(chain, TARGET, settle_data(chain, 2000, 2))
    before = balance(chain, CREATOR.address)
    refund = Transaction(0, 100_000, chain.contract.address, 0, call_data("refund(bytes32)", POOL))
    chain.send([refund.sign(STRANGER, CHAIN_ID, chain.contract.fees)])
    assert balance(chain, CREATOR.address) - before == DEPOSIT + DEPOSIT + ETHER - 1000
    assert balance(chain, chain.contract.address) == 0
    assert pool(chain)[2] == EXPIRED
    assert error("PoolClosed()") in refusal(chain, CREATOR, call_data("refund(bytes32)", POOL))


@pytest.mark.node
@pytest.mark.parametrize("work", [Settlements(4, 3), Settlements(2, 2, pools=2), Transfers(4, 3)], ids=str)
@pytest.mark.parametrize(
    ("way", "options"),
    [(Way(2, 1, 8), ()), (Way(2, 3, 8), ()), (Way(2, 3, 8, by_hand=True), anvil.BEST_OPTIONS)],
    ids=["single", "batches", "by hand"],
)
def test_a_tiny_run_is_measured_and_checked(
    tmp_path: Path, work: Settlements | Transfers, way: Way, options: tuple[str, ...]
) -> None:
    need_anvil()
    assert anvil.rate(tmp_path, work, way, options) > 0


@pytest.mark.node
def test_latency_is_measured(tmp_path: Path) -> None:
    need_anvil()
    middle, high = anvil.latencies(tmp_path, "latency", Settlements(12), 9)
    assert 0 < middle.value <= high.value
    assert [middle.name, high.name] == ["latency p50", "latency p95"]


def test_without_node_the_part_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    bytecode.cache_clear()
    with pytest.raises(NotMeasured, match=r"Node\.js"):
        bytecode()


def test_without_its_package_anvil_is_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert FOLDER.is_dir()
    monkeypatch.setattr("benchmarks.anvil_process.FOLDER", tmp_path)
    with pytest.raises(NotMeasured, match="anvil is not installed"):
        program()


def test_rlp_is_ethereums() -> None:
    """The examples of Ethereum's documentation, and an address that everybody knows."""
    assert rlp([b"cat", b"dog"]).hex() == "c88363617483646f67"
    items: list[Item] = [b"", [], 0, 15, 1024]
    assert [rlp(item).hex() for item in items] == ["80", "c0", "80", "0f", "820400"]
    assert rlp([[], [[]], [[], [[]]]]).hex() == "c7c0c1c0c3c0c1c0"
    assert rlp(b"a" * 56)[:2].hex() == "b838"
    assert keccak256(rlp([bytes(20), 0]))[-20:].hex() == "bd770416a3345f91e4b34576cb804a576fa48eb1"
