"""A node as the commands see it: typed answers instead of JSON, bytes and integers instead of hex."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crypto.address import checksum_address, parse_address
from crypto.eip712 import Domain

from .failure import Failure
from .rpc_client import RpcClient, RpcFailure

MANUAL: Final = "manual"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What chain it is, its parameters, and where it stands. Amounts in base units, blockInterval in seconds."""

    domain: Domain
    authority: bytes
    height: int
    sealing: str
    min_fee: int
    reward: int
    block_interval: int
    supply: Mapping[str, int]

    @property
    def interval_seconds(self) -> int | None:
        """How often blocks come, where they come by themselves."""
        return number(self.sealing) if self.sealing.startswith("0x") else None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account after the head."""

    balance: int
    nonce: int


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A pool after the head."""

    cptx_hash: bytes
    creator: bytes
    deposit: int
    collateral: int
    spent: int
    created_at: int
    expires_at: int
    status: str

    @property
    def remaining(self) -> int:
        """What the deposit still covers."""
        return self.deposit - self.spent


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What one payee has had from a pool."""

    seq: int
    paid: int


class ChainClient:
    """Typed calls to one node."""

    def __init__(self, url: str) -> None:
        """Take the node's URL; connects at the first call."""
        self.rpc = RpcClient(url)

    def facts(self) -> ChainFacts:
        """Return what chain the node has and where it stands now."""
        return read_facts(self.rpc.call("chain_status"))

    def account(self, address: bytes) -> AccountFacts:
        """Return an account; zeros for one that never was."""
        found = self.rpc.call("account_get", address=checksum_address(address))
        return AccountFacts(number(found["balance"]), number(found["nonce"]))

    def next_nonce(self, address: bytes) -> int:
        """Return the nonce behind everything of this sender that is pending."""
        return number(self.rpc.call("eth_getTransactionCount", checksum_address(address), "pending"))

    def pool(self, cptx_hash: bytes) -> PoolFacts:
        """Return a committed pool; raises RpcFailure POOL_UNKNOWN."""
        return read_pool(self.rpc.call("pool_get", cptxHash=hex_text(cptx_hash)))

    def target(self, cptx_hash: bytes, address: bytes) -> TargetFacts:
        """Return a payee's record in a committed pool."""
        found = self.rpc.call("pool_getTarget", cptxHash=hex_text(cptx_hash), target=checksum_address(address))
        return TargetFacts(number(found["seq"]), number(found["paid"]))

    def simulate(self, raw: bytes) -> Json:
        """Return the receipt that a transaction would get now; raises RpcFailure with the refusal."""
        return dict(self.rpc.call("tx_simulate", raw=hex_text(raw)))

    def pool_transaction(self, raw: bytes) -> str:
        """Put a transaction into the mempool and return its hash, also when it is there already."""
        try:
            return str(self.rpc.call("tx_submit", raw=hex_text(raw))["hash"])
        except RpcFailure as failure:
            if failure.reason == "ALREADY_KNOWN":
                return str(failure.data["hash"])
            raise

    def commit_transaction(self, raw: bytes, timeout_seconds: float) -> Json:
        """Submit and return {hash, receipt, proof} when it is in a block.

        Raises RpcFailure: the refusal, or PENDING with data.hash after the time-out. A node answers within 30
        seconds, so on a slow chain the same call is made again: it then answers as if it were the first.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return dict(self.rpc.call("tx_submit", raw=hex_text(raw), wait="committed"))
            except RpcFailure as failure:
                if failure.reason != "PENDING" or time.monotonic() >= deadline:
                    raise


def read_facts(status: Mapping[str, Any]) -> ChainFacts:
    """Return the typed form of chain_status; raises Failure when the node does not tell its parameters."""
    parameters = status.get("parameters")
    if not parameters:
        raise Failure("the node is too old for this command line: it does not tell its parameters.", reason="VERSION")
    return ChainFacts(
        domain=Domain.of(number(status["chainId"]), hex_bytes(status["genesisHash"])),
        authority=parse_address(status["authority"]),
        height=number(status["head"]["height"]),
        sealing=status["sealing"],
        min_fee=number(parameters["minFee"]),
        reward=number(parameters["reward"]),
        block_interval=number(parameters["blockInterval"]),
        supply={name: number(amount) for name, amount in status["supply"].items()},
    )


def read_pool(found: Mapping[str, Any]) -> PoolFacts:
    """Return the typed form of a pool."""
    return PoolFacts(
        cptx_hash=hex_bytes(found["cptxHash"]),
        creator=parse_address(found["creator"]),
        deposit=number(found["deposit"]),
        collateral=number(found["collateral"]),
        spent=number(found["spent"]),
        created_at=number(found["createdAt"]),
        expires_at=number(found["expiresAt"]),
        status=found["status"],
    )


def number(quantity: str) -> int:
    """Return the integer of a 0x-quantity."""
    return int(quantity, 16)


def hex_bytes(text: str) -> bytes:
    """Return the bytes of 0x-hex."""
    return bytes.fromhex(text[2:])


def hex_text(data: bytes) -> str:
    """Return bytes as 0x-hex."""
    return "0x" + data.hex()
