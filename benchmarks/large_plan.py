"""What a large chain holds: pools, settlements and accounts that follow from a few numbers.

Pool `i` belongs to creator `i` modulo CREATORS; the first `settled` pools have each been settled once by payee `i`
modulo `payees`. So every transaction and every record after the last block is a function of the plan, and need not be
remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Final, NamedTuple

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.merkle import root
from ledger.genesis import Genesis
from ledger.receipt import Outcome, Receipt
from ledger.records import Account, Pool, PoolStatus, Target, account_key, pool_key, target_key
from ledger.supply import Supply
from txtypes.create_pool import CREATE_POOL
from txtypes.service_payment import SERVICE_PAYMENT
from txtypes.wire import encode

from .bench_chain import AUTHORITY, FUNDS, bench_genesis
from .signed import FEE, key

CREATORS: Final = 1_000
"""Keys 0 to 999, funded at genesis."""
FIRST_PAYEE: Final = 2_000_000
"""Number of the first payee's key."""
KEYED: Final = 20_000
"""So many payees have keys; the addresses of the others are hashes, which are found sooner."""
DEPOSIT: Final = 10**15
COLLATERAL: Final = DEPOSIT + 2 * 10**18
AMOUNT: Final = 2 * FEE
"""What a settlement has paid."""
DURATION: Final = 10**8
"""Blocks; longer than any chain that is loaded."""
RESOURCES: Final = 1_000
BODY: Final = 5_000
"""Transactions that are made at once."""
_UNSIGNED: Final = bytes(65)
_PLACEHOLDER: Final = key(0).sign(bytes(32))


class Plan(NamedTuple):
    """The numbers."""

    pools: int
    settled: int
    """Settlements: one for each of the first so many pools."""
    payees: int
    height: int
    """Of the head at least; blocks without transactions fill up to it."""
    in_block: int = BODY
    """Transactions of a block; divides BODY."""
    executed: bool = False
    """Whether every block has the state root that its execution gives, and all signatures are made.

    Without it only CreatePools are signed, the blocks before the last transaction name the state root of block 0, and
    the head's is the root over all records: what `poolchain.integrity.check_all` looks at is right, an execution from
    genesis would not agree.
    """

    @property
    def keys(self) -> int:
        """Records in the state, but for the handful of a devnet's own accounts."""
        return self.pools + self.settled + min(self.payees, self.settled) + CREATORS

    @property
    def body_blocks(self) -> int:
        """Blocks with transactions."""
        return -(-self.pools // self.in_block) - (-self.settled // self.in_block)

    def created_at(self, pool: int) -> int:
        """Return the height of a pool's block."""
        return 1 + pool // self.in_block

    def payee(self, pool: int) -> bytes:
        """Return the address that has settled, or could, from a pool."""
        return payee(pool % self.payees)


def plan_of_keys(keys: int, *, executed: bool = False) -> Plan:
    """Return a state of about so many keys: a quarter accounts, the rest pools with one target record each."""
    pools = max(1, 3 * keys // 8)
    return Plan(pools, pools, max(1, keys // 4), 1_000, executed=executed)


def payee(number: int) -> bytes:
    """Return the address of a payee."""
    return key(FIRST_PAYEE + number).address if number < KEYED else sha256(b"payee %d" % number).digest()[:20]


def large_genesis() -> Genesis:
    """Return a devnet's genesis with the creators' funds and room for long pools."""
    return replace(bench_genesis(range(CREATORS)), max_duration=10 * DURATION)


class Body(NamedTuple):
    """The transactions of one block, as they are stored."""

    size: int
    """The number of transactions."""
    tx_root: bytes
    receipts_root: bytes
    transactions: bytes
    """As in `ledger.block.Block.encode`: count, then length and bytes of each."""
    receipts: bytes
    hashes: bytes


def pool_bodies(plan: Plan, domain: Domain, first: int) -> list[Body]:
    """Return the blocks with the CreatePools from `first` on, BODY of them at most."""
    return _bodies(plan, [_create_pool(domain, pool) for pool in range(first, min(first + BODY, plan.pools))])


def settlement_bodies(plan: Plan, domain: Domain, first: int, pools: bytes) -> list[Body]:
    """Return the blocks with the settlements from `first` on; `pools` has the ids of their pools."""
    ids = [pools[at : at + 32] for at in range(0, len(pools), 32)]
    return _bodies(plan, [_settlement(plan, domain, first + at, found) for at, found in enumerate(ids)])


def resource(pool: int) -> bytes:
    """Return what a pool pays for."""
    return sha256(b"film %d" % (pool % RESOURCES)).digest()


def records(plan: Plan, pools: list[bytes], genesis: Genesis) -> Iterator[tuple[bytes, bytes]]:
    """Yield all (state key, record) after the last block, in no order; `pools` are their ids."""
    cost = DEPOSIT + COLLATERAL + FEE
    creators = {}
    for number in range(CREATORS):
        made = len(range(number, plan.pools, CREATORS))
        creators[key(number).address] = Account(FUNDS - made * cost, made)
    alloc = {who: Account(amount, 0) for who, amount in genesis.alloc.items()}
    authority = {AUTHORITY.address: Account(FEE * (plan.pools + plan.settled), 0)}
    accounts = alloc | creators | authority
    for who, account in accounts.items():
        yield from _present(account_key(who), account.encode())
    for number in range(min(plan.payees, plan.settled)):
        times = len(range(number, plan.settled, plan.payees))
        yield from _present(account_key(payee(number)), Account(times * (AMOUNT - FEE), 0).encode())
    target = Target(1, AMOUNT).encode()
    for number, cptx_hash in enumerate(pools):
        yield pool_key(cptx_hash), _pool(plan, number).encode()
        if number < plan.settled:
            yield target_key(cptx_hash, plan.payee(number)), target


def supply_of(plan: Plan, genesis: Genesis) -> Supply:
    """Return where all tokens are after the last block."""
    locked = plan.pools * (DEPOSIT + COLLATERAL) - plan.settled * AMOUNT
    return Supply(genesis.supply - locked, locked, 0)


def expires_at(plan: Plan, pool: int) -> int:
    """Return the height at which a pool ends."""
    return plan.created_at(pool) + DURATION


def creator(pool: int) -> bytes:
    """Return the address that made a pool."""
    return key(pool % CREATORS).address


def _pool(plan: Plan, number: int) -> Pool:
    spent = AMOUNT if number < plan.settled else 0
    created_at, ends = plan.created_at(number), expires_at(plan, number)
    return Pool(creator(number), resource(number), DEPOSIT, COLLATERAL, spent, created_at, ends, PoolStatus.OPEN)


def _present(state_key: bytes, record: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if record is not None:
        yield state_key, record


def _create_pool(domain: Domain, pool: int) -> tuple[bytes, Receipt]:
    fields = {
        "resourceId": resource(pool),
        "deposit": DEPOSIT,
        "collateral": COLLATERAL,
        "duration": DURATION,
        "fee": FEE,
        "nonce": pool // CREATORS,
    }
    unsigned = encode(CREATE_POOL, fields, {"signature": _UNSIGNED})
    (digest,) = CREATE_POOL.digests(unsigned, domain)
    raw = unsigned[:193] + key(pool % CREATORS).sign(digest)
    found = keccak256(raw)
    return raw, Receipt(found, Outcome.CREATED, FEE, found)


def _settlement(plan: Plan, domain: Domain, pool: int, cptx_hash: bytes) -> tuple[bytes, Receipt]:
    fields = {
        "target": plan.payee(pool),
        "amount": AMOUNT,
        "cptxHash": cptx_hash,
        "tgtSeq": 1,
        "fee": FEE,
    }
    raw = encode(SERVICE_PAYMENT, fields, {"paymentSignature": _PLACEHOLDER, "signature": _PLACEHOLDER})
    if plan.executed:
        payment, settlement = SERVICE_PAYMENT.digests(raw, domain)
        signed = key(pool % CREATORS).sign(payment), key(FIRST_PAYEE + pool % plan.payees).sign(settlement)
        raw = encode(SERVICE_PAYMENT, fields, {"paymentSignature": signed[0], "signature": signed[1]})
    return raw, Receipt(keccak256(raw), Outcome.SETTLED, FEE, cptx_hash, paid=AMOUNT)


def _bodies(plan: Plan, made: list[tuple[bytes, Receipt]]) -> list[Body]:
    return [_body(made[at : at + plan.in_block]) for at in range(0, len(made), plan.in_block)]


def _body(made: list[tuple[bytes, Receipt]]) -> Body:
    raws = [raw for raw, _ in made]
    receipts = [receipt.encode() for _, receipt in made]
    framed = b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)
    hashes = b"".join(receipt.transaction_hash for _, receipt in made)
    count = len(made).to_bytes(4, "big")
    return Body(len(made), root(raws), root(receipts), count + framed, b"".join(receipts), hashes)
