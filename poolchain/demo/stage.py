"""The chain under the demonstration: sending in every sealing mode, waiting for heights, counting transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from crypto.address import checksum_address
from poolchain.chain_client import MANUAL, ChainClient, ChainFacts, Json, hex_text
from poolchain.devnet import devnet_keys
from poolchain.failure import Failure
from poolchain.rpc_client import RpcFailure

POLL_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 120
"""How long a transaction or a height may take beyond three block intervals each."""


class Stage:
    """One devnet. Its sealing mode is looked up each time, and never changed."""

    def __init__(self, client: ChainClient) -> None:
        """Take a node; raises Failure NOT_A_DEVNET unless it is a devnet's."""
        self.client = client
        facts = client.facts()
        if facts.authority != devnet_keys().authority.address:
            raise Failure(
                f"{client.rpc.url} is not a devnet: the demonstration needs one, because it takes tokens from the "
                "faucet and makes blocks. Start one with 'poolchain devnet'.",
                reason="NOT_A_DEVNET",
            )

    def facts(self) -> ChainFacts:
        """Return where the chain stands now."""
        return self.client.facts()

    def send(self, raw: bytes) -> Json:
        """Submit a transaction and return its receipt when it is in a block."""
        return self._receipt(self.client.pool_transaction(raw))

    def fund(self, address: bytes, amount: int) -> Json:
        """Have the faucet send tokens; return the receipt."""
        try:
            name = self.client.rpc.call("dev_faucet", address=checksum_address(address), amount=hex(amount))
        except RpcFailure as failure:
            if failure.reason == "INSUFFICIENT_BALANCE":
                raise Failure(
                    "the faucet (account 9) has not enough tokens left: start over with 'poolchain devnet --reset'.",
                    reason="FAUCET_EMPTY",
                ) from failure
            raise
        return self._receipt(name)

    def advance_to(self, height: int) -> None:
        """Return when the head is at `height`: blocks are made, or waited for where they come by themselves."""

        def step(facts: ChainFacts) -> bool:
            missing = height - facts.height
            if missing > 0 and facts.interval_seconds is None:
                self.client.rpc.call("dev_mine", count=hex(missing))
            return missing <= 0

        blocks = max(1, height - self.facts().height)
        self._until(step, f"block {height}", blocks)

    def count_transactions(self, cptx_hash: bytes, created_at: int) -> int:
        """Return how many transactions a pool has cost so far: read from the blocks, not from our own memory."""
        pool = hex_text(cptx_hash)
        count = 0
        for height in range(created_at, self.facts().height + 1):
            block = self.client.rpc.call("chain_getBlock", block=hex(height), full=True)
            count += sum(pool in {found["hash"], found["fields"].get("cptxHash")} for found in block["transactions"])
        return count

    def _receipt(self, name: str) -> Json:
        """Return the receipt of a pooled transaction when it is committed; raises Failure when it is dropped."""
        receipts: list[Json] = []

        def step(facts: ChainFacts) -> bool:
            found = self.client.rpc.call("chain_getTransaction", hash=name)
            if found["status"] == "dropped":
                reason = found["dropReason"]["reason"]
                raise Failure(f"the node dropped {name}: {reason}.", reason=reason)
            if found["receipt"] is not None:
                receipts.append(found["receipt"])
                return True
            if facts.sealing == MANUAL:
                self.client.rpc.call("dev_mine")
            return False

        self._until(step, f"the block of {name}", blocks=1)
        return receipts[0]

    def _until(self, step: Callable[[ChainFacts], bool], what: str, blocks: int) -> None:
        """Repeat `step` until it is true; raises Failure after three intervals for each block, and then some."""
        began = time.monotonic()
        while not step(facts := self.facts()):
            patience = TIMEOUT_SECONDS + 3 * blocks * (facts.interval_seconds or 0)
            if time.monotonic() - began > patience:
                raise Failure(f"{what} did not come within {patience} seconds.", reason="TIMEOUT")
            time.sleep(POLL_SECONDS)
