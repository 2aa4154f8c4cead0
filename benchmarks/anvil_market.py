"""What is done on anvil: pools with payees who settle once each, and transfers; planned, signed, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from crypto.signature import SigningKey

from .anvil_chain import ETHER, Chain, Contract, expect_equal, pool_id
from .anvil_process import CHAIN_ID
from .ethereum import Transaction, call_data, sign_all
from .signed import key

DUE: Final = 10**15
"""What every settlement pays, in wei."""
_FUNDS: Final = ETHER
_FIRST_TARGET: Final = 1_000_000
_FIRST_RECIPIENT: Final = 2_000_000
_CREATE_GAS: Final = 200_000
_SETTLE_GAS: Final = 130_000
_TRANSFER_GAS: Final = 21_000
_DURATION: Final = 10**6


class _Settlement(NamedTuple):
    creator: int
    target: int
    pool: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class Settlements:
    """So many pools, each with its own payees, each of whom settles so often."""

    targets: int
    """Of each pool."""
    settlements: int = 1
    """Of each payee."""
    pools: int = 1

    def prepare(self, chain: Chain) -> list[bytes]:
        """Open the pools, fund the payees' gas, and return the signed settlements by tgtSeq, then by pool."""
        promised = self.targets * self.settlements * DUE
        creators = [key(pool) for pool in range(self.pools)]
        chain.fund([one.address for one in creators], 3 * promised + 2 * ETHER)
        chain.send([create_pool(chain.contract, one, promised, _DURATION) for one in creators])
        chain.fund([key(target).address for target in self._targets()], _FUNDS)
        plans = [
            _Settlement(pool, target, pool_id(key(pool).address, 0), seq)
            for seq in range(1, self.settlements + 1)
            for pool, target in self._payees()
        ]
        return sign_all(partial(_sign_settlement, chain.contract), plans)

    def check(self, chain: Chain, raws: Sequence[bytes]) -> None:
        """Raise Wrong unless every receipt, balance, target record and pool is what the settlements make of it."""
        gas = _gas_paid(chain.receipts(raws))
        targets = self._targets()
        addresses = [key(target).address for target in targets]
        paid = self.settlements * DUE
        spent = [sum(gas[at :: len(targets)]) for at in range(len(targets))]
        expect_equal("balance of payee", [_FUNDS + paid - one for one in spent], chain.balances(addresses))
        ids = [pool_id(key(pool).address, 0) for pool in range(self.pools)]
        records = chain.read(
            "targets(bytes32,address)", [(ids[at // self.targets], one) for at, one in enumerate(addresses)]
        )
        expect_equal("target record", [[paid, self.settlements]] * len(targets), records)
        pools = chain.read("pools(bytes32)", [(one,) for one in ids])
        expect_equal("spent of pool", [self.targets * paid] * self.pools, [pool[4] for pool in pools])

    def _targets(self) -> list[int]:
        return [target for _, target in self._payees()]

    def _payees(self) -> list[tuple[int, int]]:
        """Return the pool and the number of the key of every payee."""
        return [(at // self.targets, _FIRST_TARGET + at) for at in range(self.pools * self.targets)]


def create_pool(contract: Contract, creator: SigningKey, deposit: int, duration: int) -> bytes:
    """Return the creator's first transaction: a pool with salt 0 and a collateral one ether above the deposit."""
    data = call_data("create(bytes32,bytes32,uint128,uint64)", 0, 0, deposit, duration)
    made = Transaction(0, _CREATE_GAS, contract.address, 2 * deposit + ETHER, data)
    return made.sign(creator, CHAIN_ID, contract.fees)


def settle(contract: Contract, target: SigningKey, nonce: int, promise: bytes, fields: tuple[bytes, int, int]) -> bytes:
    """Return a payee's transaction that publishes a promise; `fields` are pool, amount, tgtSeq."""
    data = call_data("settle(bytes32,uint128,uint64,bytes32,bytes32)", *fields, promise[:32], promise[32:])
    return Transaction(nonce, _SETTLE_GAS, contract.address, 0, data).sign(target, CHAIN_ID, contract.fees)


def _sign_settlement(contract: Contract, plan: _Settlement) -> bytes:
    target, amount = key(plan.target), plan.seq * DUE
    promise = contract.promise(key(plan.creator), target.address, amount, plan.pool, plan.seq)
    return settle(contract, target, plan.seq - 1, promise, (plan.pool, amount, plan.seq))


@dataclass(frozen=True, slots=True)
class Transfers:
    """So many senders, each of whom pays a new account of its own so often."""

    senders: int
    each: int = 1

    def prepare(self, chain: Chain) -> list[bytes]:
        """Fund the senders; return the signed transfers by nonce, then by sender."""
        chain.fund([key(sender).address for sender in range(self.senders)], _FUNDS)
        plans = [(nonce, sender) for nonce in range(self.each) for sender in range(self.senders)]
        return sign_all(partial(_sign_transfer, chain.contract), plans)

    def check(self, chain: Chain, raws: Sequence[bytes]) -> None:
        """Raise Wrong unless every receipt and balance is what the transfers make of it."""
        gas = _gas_paid(chain.receipts(raws))
        received = self.each * DUE
        left = [_FUNDS - received - sum(gas[sender :: self.senders]) for sender in range(self.senders)]
        senders = chain.balances(key(sender).address for sender in range(self.senders))
        expect_equal("balance of sender", left, senders)
        recipients = chain.balances(key(_FIRST_RECIPIENT + sender).address for sender in range(self.senders))
        expect_equal("balance of recipient", [received] * self.senders, recipients)


def _sign_transfer(contract: Contract, plan: tuple[int, int]) -> bytes:
    nonce, sender = plan
    to = key(_FIRST_RECIPIENT + sender).address
    return Transaction(nonce, _TRANSFER_GAS, to, DUE).sign(key(sender), CHAIN_ID, contract.fees)


def _gas_paid(receipts: Sequence[Any]) -> list[int]:
    """Return what each transaction cost its sender beside its value, in wei."""
    return [int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in receipts]
