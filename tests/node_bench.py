"""A node without a disk or a network: the RPC methods over the real ledger, mempool and block maker.

The chain is the reference model's small one (minimum fee 10, reward 100, durations 2 to 50). Calls go through the
dispatcher as JSON text, so that what a test sees is what a client would. Blocks come by dev_mine only.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from consensus.authority import Authority
from consensus.chain import Chain
from crypto.signature import SigningKey
from poolchain.clock import Clock
from poolchain.node import Node
from rpc.dispatch import Dispatcher
from rpc.limits import Limits
from rpc.methods import ALL_METHODS
from rpc.registry import Registry
from storage.chain_store import create_chain
from storage.memory import Fault, Faults, MemoryDisk, MemoryKeyValue
from storage.memory_signing import MemorySigningRecord
from tests.model import signing
from tests.model.encoding import keccak
from tests.model.small_chain import ALICE_KEY, AUTHORITY_KEY, RESOURCE
from tests.workbench import make_genesis

if TYPE_CHECKING:
    from rpc.ports import NodePort, Sealing

MIN_FEE = 10


class NodeBench:
    """One node, and a client that is always right about JSON."""

    def __init__(
        self, *, sealing: Sealing = "manual", limits: Limits | None = None, devnet: bool = True, **genesis: object
    ) -> None:
        self.genesis = make_genesis(**genesis)
        self.reads: dict[int, Fault] = {}
        self.syncs: dict[int, Fault] = {}
        """Faults at reads and syncs of the database, by their number."""
        self.disk = MemoryDisk()
        self.kv = MemoryKeyValue(self.disk, Faults(reads=self.reads, syncs=self.syncs))
        self.store = create_chain(self.kv, self.genesis)
        self.domain = self.genesis.domain(self.store.view().block(0).header.hash())
        self.signing = signing.Domain(self.genesis.chain_id, self.domain.genesis_hash)
        limits = limits or Limits()
        chain = Chain(self.store, self.genesis, self.domain, 1 << 20)
        authority = Authority(chain, SigningKey(AUTHORITY_KEY), MemorySigningRecord())
        faucet = SigningKey(ALICE_KEY) if devnet else None
        self.node = Node(self.store, authority, Clock(), sealing, limits=limits, faucet_key=faucet)
        registry: Registry[NodePort] = Registry(ALL_METHODS, title="Poolchain", version="test", devnet=devnet)
        self.dispatcher = Dispatcher(registry, self.node, limits)
        self.runner = asyncio.Runner()

    def close(self) -> None:
        self.runner.run(self.node.stop())
        self.node.maker._writer.shutdown()
        self.runner.close()

    # Calls

    async def ask(self, name: str, *params: Any, **named: Any) -> dict[str, Any]:
        """The answer to one call, with `result` or `error`."""
        request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": named or list(params)}
        answer = await self.dispatcher.answer(json.dumps(request).encode())
        assert answer is not None
        found: dict[str, Any] = json.loads(answer)
        return found

    def call(self, name: str, *params: Any, **named: Any) -> Any:
        """The result of one call."""
        answer = self.runner.run(self.ask(name, *params, **named))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def error(self, name: str, *params: Any, **named: Any) -> dict[str, Any]:
        """The error of one call, which leaves the chain and the mempool as they were."""
        before = self.moment()
        answer = self.runner.run(self.ask(name, *params, **named))
        assert "result" not in answer, answer["result"]
        assert self.moment() == before
        found: dict[str, Any] = answer["error"]
        assert {"reason", "expected", "given"} <= found["data"].keys()
        return found

    def refuse(self, reason: str, code: int, name: str, *params: Any, **named: Any) -> dict[str, Any]:
        """The data of an error with this reason and code."""
        error = self.error(name, *params, **named)
        assert (error["data"]["reason"], error["code"]) == (reason, code)
        data: dict[str, Any] = error["data"]
        return data

    def moment(self) -> tuple[bytes, int]:
        return self.node.view().tip().hash, self.node.pending_count()

    def mine(self, count: int = 1) -> int:
        return int(self.call("dev_mine", hex(count)), 16)

    def submit(self, raw: bytes) -> str:
        """Put a transaction into the mempool and return its hash."""
        answer = self.call("tx_submit", text(raw))
        assert answer == {"hash": text(keccak(raw)), "receipt": None, "proof": None}
        found: str = answer["hash"]
        return found

    def commit(self, *raws: bytes) -> list[str]:
        """Have these transactions in the next block, in this order if their fees agree with it."""
        hashes = [self.submit(raw) for raw in raws]
        self.mine()
        return hashes

    # Transactions

    def transfer(self, key: bytes, to: bytes, amount: int, *, fee: int = MIN_FEE, nonce: int | None = None) -> bytes:
        return signing.transfer(key, self.signing, to, amount, fee, self._nonce(key, nonce))

    def create(
        self,
        deposit: int = 1000,
        collateral: int = 1500,
        duration: int = 10,
        *,
        resource: bytes = RESOURCE,
        nonce: int | None = None,
        key: bytes = ALICE_KEY,
    ) -> bytes:
        nonce = self._nonce(key, nonce)
        return signing.create_pool(key, self.signing, resource, deposit, collateral, duration, MIN_FEE, nonce)

    def payment(
        self,
        key: bytes,
        pool: str,
        amount: int,
        *,
        seq: int = 1,
        fee: int = MIN_FEE,
        creator: bytes = ALICE_KEY,
    ) -> bytes:
        return signing.service_payment(creator, key, self.signing, amount, bytes.fromhex(pool[2:]), seq, fee)

    def new_pool(self, deposit: int = 1000, collateral: int = 1500, duration: int = 10, **other: Any) -> str:
        """A committed pool of Alice's: its id."""
        return self.commit(self.create(deposit, collateral, duration, **other))[0]

    def _nonce(self, key: bytes, nonce: int | None) -> int:
        return self.node.next_nonce(signing.address_of(key)) if nonce is None else nonce


def text(data: bytes) -> str:
    """Bytes as JSON has them."""
    return "0x" + data.hex()
