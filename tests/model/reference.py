"""The plain reference model of the state transition: section 5 of the protocol, word for word.

Nothing here is fast and nothing is clever. One method applies one kind of transaction, reads like
the paragraph it comes from, does all of its checks in the order of its table, and only then writes.
Comments that begin with "Reading:" mark places where the page leaves a choice.
"""

import json
from typing import Any, TypedDict

from .encoding import (
    AMOUNT_LIMIT,
    CREATE_POOL_TYPE,
    CREATED,
    PAYMENT_TYPE,
    SETTLED,
    SLASHED,
    TRANSFER_TYPE,
    TRANSFERRED,
    UINT64_LIMIT,
    Header,
    ModelRefusal,
    Receipt,
    block_hash,
    domain_separator,
    encode_header,
    encode_receipt,
    keccak,
    merkle_root,
    parse_bytes,
    parse_quantity,
    read_address,
    read_word,
    receipts_root,
    recover,
    settlement_digest,
    signing_digest,
)

__all__ = [
    "CREATED",
    "SETTLED",
    "SLASHED",
    "TRANSFERRED",
    "Header",
    "Model",
    "ModelRefusal",
    "Pool",
    "Receipt",
    "block_hash",
    "canonical_genesis",
    "encode_header",
    "encode_receipt",
    "merkle_root",
    "receipts_root",
]

LARGEST_CHAIN_ID = 4503599627370476
GENESIS_MEMBERS = {
    "chainId",
    "timestamp",
    "authority",
    "extra",
    "alloc",
    "blockInterval",
    "minFee",
    "reward",
    "minDuration",
    "maxDuration",
    "maxExpiriesPerBlock",
    "maxBlockTransactions",
    "maxBlockBytes",
}


class Pool(TypedDict):
    """The record of one pool, with the members of section 4."""

    creator: bytes
    resourceId: bytes
    deposit: int
    collateral: int
    spent: int
    createdAt: int
    expiresAt: int
    status: str


def canonical_genesis(genesis: dict[str, Any]) -> bytes:
    """RFC 8785 of an object that holds only ASCII strings: sorted members, no spaces."""
    return json.dumps(genesis, sort_keys=True, separators=(",", ":")).encode("ascii")


class Model:
    """The state of one chain and its transition."""

    def __init__(self, genesis: dict[str, Any], state_root: bytes) -> None:
        """Build block 0; its stateRoot is given, for its construction is the project's choice."""
        if set(genesis) != GENESIS_MEMBERS:
            raise ValueError("a genesis has exactly the members of section 6")
        self.chain_id = parse_quantity(genesis["chainId"], LARGEST_CHAIN_ID + 1)
        if self.chain_id < 1:
            raise ValueError("chainId starts at 1")
        self.authority = parse_bytes(genesis["authority"], 20)
        parse_bytes(genesis["extra"], 32)
        self.min_fee = parse_quantity(genesis["minFee"], AMOUNT_LIMIT)
        self.reward = parse_quantity(genesis["reward"], AMOUNT_LIMIT)
        self.min_duration = parse_quantity(genesis["minDuration"], UINT64_LIMIT)
        self.max_duration = parse_quantity(genesis["maxDuration"], UINT64_LIMIT)
        self.max_expiries = parse_quantity(genesis["maxExpiriesPerBlock"], UINT64_LIMIT)
        for member in ("blockInterval", "maxBlockTransactions", "maxBlockBytes"):
            parse_quantity(genesis[member], UINT64_LIMIT)

        self.height = 0
        self.accounts: dict[bytes, tuple[int, int]] = {}
        self.pools: dict[bytes, Pool] = {}
        self.targets: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self.burned = 0
        # Kept for the equations and for ALREADY_COMMITTED only; no rule of section 5 reads these.
        self.committed: set[bytes] = set()
        self.returned: dict[bytes, int] = {}
        self.slashes: dict[bytes, tuple[int, int]] = {}

        self.genesis_supply = 0
        for address, amount in genesis["alloc"].items():
            balance = parse_quantity(amount, AMOUNT_LIMIT)
            self._write(parse_bytes(address, 20), balance, 0)
            self.genesis_supply += balance
        if self.genesis_supply >= AMOUNT_LIMIT:
            raise ValueError("the sum of alloc is below 2^128")

        self.genesis_header = Header(
            chainId=self.chain_id,
            height=0,
            timestamp=parse_quantity(genesis["timestamp"], UINT64_LIMIT),
            parentHash=keccak(canonical_genesis(genesis)),
            txRoot=merkle_root([]),
            txCount=0,
            receiptsRoot=merkle_root([]),
            stateRoot=state_root,
            historyRoot=merkle_root([]),
            authority=self.authority,
        )
        self.genesis_hash = block_hash(self.genesis_header)
        self.separator = domain_separator(self.chain_id, self.genesis_hash)

    def balance(self, address: bytes) -> int:
        """Return the balance; an absent account has none."""
        return self.accounts.get(address, (0, 0))[0]

    def nonce(self, address: bytes) -> int:
        """Return the nonce; an absent account is at zero."""
        return self.accounts.get(address, (0, 0))[1]

    def begin_block(self, height: int) -> list[bytes]:
        """Start a later block and run its expiries; return the closed pools in their order."""
        if not self.height < height < UINT64_LIMIT:
            raise ValueError("heights grow")
        self.height = height
        due = [
            (pool["expiresAt"], pool_id)
            for pool_id, pool in self.pools.items()
            if pool["status"] == "open" and pool["expiresAt"] <= height
        ]
        closed = [pool_id for _, pool_id in sorted(due)][: self.max_expiries]
        for pool_id in closed:
            pool = self.pools[pool_id]
            pool["status"] = "expired"
            self.returned[pool_id] = pool["deposit"] - pool["spent"] + pool["collateral"]
            self._credit(pool["creator"], self.returned[pool_id])
        return closed

    def apply(self, raw: bytes) -> Receipt:
        """Apply one transaction at the height of the block that was begun last."""
        if self.height == 0:
            raise ValueError("block 0 has no transactions")
        if len(raw) == 194 and raw[0] == 0x01:
            receipt = self._apply_transfer(raw)
        elif len(raw) == 258 and raw[0] == 0x02:
            receipt = self._apply_create_pool(raw)
        elif len(raw) == 291 and raw[0] == 0x03:
            receipt = self._apply_service_payment(raw)
        else:
            raise ModelRefusal("MALFORMED")
        self.committed.add(receipt["transactionHash"])
        self._credit(self.authority, receipt["fee"])
        return receipt

    def supply_equation_holds(self) -> bool:
        """Balances, what open pools hold, and what was burned are the genesis supply."""
        balances = sum(balance for balance, _ in self.accounts.values())
        locked = sum(
            pool["deposit"] - pool["spent"] + pool["collateral"]
            for pool in self.pools.values()
            if pool["status"] == "open"
        )
        return balances + locked + self.burned == self.genesis_supply

    def pool_equation_holds(self, pool_id: bytes) -> bool:
        """Whatever went into one pool went out of it, or is still there."""
        pool = self.pools[pool_id]
        paid = sum(record[1] for key, record in self.targets.items() if key[0] == pool_id)
        remaining = pool["deposit"] - pool["spent"]
        if remaining < 0 or paid != pool["spent"]:
            return False
        if pool["status"] == "open":
            return pool["deposit"] == paid + remaining
        locked = pool["deposit"] + pool["collateral"]
        if pool["status"] == "expired":
            returned = self.returned[pool_id]
            return locked == paid + returned and returned == remaining + pool["collateral"]
        burned, reward = self.slashes[pool_id]
        return remaining == 0 and locked == paid + burned + reward and burned > pool["deposit"]

    def _apply_transfer(self, raw: bytes) -> Receipt:
        """Transfer: four words and the sender's signature."""
        to = read_address(raw, 1)
        amount = read_word(raw, 33, AMOUNT_LIMIT)
        fee = read_word(raw, 65, AMOUNT_LIMIT)
        nonce = read_word(raw, 97, UINT64_LIMIT)
        sender = recover(signing_digest(self.separator, TRANSFER_TYPE, raw[1:129]), raw[129:194])
        tx_hash = self._check_new_and_fee(raw, fee)
        if amount == 0:
            raise ModelRefusal("ZERO_AMOUNT")
        self._check_nonce_and_balance(sender, nonce, amount + fee)

        self._write(sender, self.balance(sender) - amount - fee, nonce + 1)
        self._credit(to, amount)
        return self._receipt(tx_hash, TRANSFERRED, fee, bytes(32))

    def _apply_create_pool(self, raw: bytes) -> Receipt:
        """CreatePool: six words and the creator's signature."""
        resource_id = raw[1:33]
        deposit = read_word(raw, 33, AMOUNT_LIMIT)
        collateral = read_word(raw, 65, AMOUNT_LIMIT)
        duration = read_word(raw, 97, UINT64_LIMIT)
        fee = read_word(raw, 129, AMOUNT_LIMIT)
        nonce = read_word(raw, 161, UINT64_LIMIT)
        digest = signing_digest(self.separator, CREATE_POOL_TYPE, raw[1:193])
        creator = recover(digest, raw[193:258])
        tx_hash = self._check_new_and_fee(raw, fee)
        if deposit == 0:
            raise ModelRefusal("ZERO_AMOUNT")
        if collateral <= deposit:
            raise ModelRefusal("COLLATERAL_TOO_LOW")
        if not self.min_duration <= duration <= self.max_duration:
            raise ModelRefusal("BAD_DURATION")
        if self.height + duration >= UINT64_LIMIT:
            raise ModelRefusal("BAD_DURATION")  # Reading: expiresAt must itself be a uint64.
        self._check_nonce_and_balance(creator, nonce, deposit + collateral + fee)

        self._write(creator, self.balance(creator) - deposit - collateral - fee, nonce + 1)
        self.pools[tx_hash] = Pool(
            creator=creator,
            resourceId=resource_id,
            deposit=deposit,
            collateral=collateral,
            spent=0,
            createdAt=self.height,
            expiresAt=self.height + duration,
            status="open",
        )
        return self._receipt(tx_hash, CREATED, fee, tx_hash)

    def _apply_service_payment(self, raw: bytes) -> Receipt:
        """ServicePayment: a payment signed by the creator, its settlement signed by the target."""
        target = read_address(raw, 1)
        amount = read_word(raw, 33, AMOUNT_LIMIT)
        pool_id = raw[65:97]
        tgt_seq = read_word(raw, 97, UINT64_LIMIT)
        fee = read_word(raw, 194, AMOUNT_LIMIT)
        payment_digest = signing_digest(self.separator, PAYMENT_TYPE, raw[1:129])
        payer = recover(payment_digest, raw[129:194])
        published_digest = settlement_digest(self.separator, raw[1:129], raw[194:226])
        publisher = recover(published_digest, raw[226:291])
        tx_hash = self._check_new_and_fee(raw, fee)
        if pool_id not in self.pools:
            raise ModelRefusal("POOL_UNKNOWN")
        pool = self.pools[pool_id]
        seq, paid_before = self.targets.get((pool_id, target), (0, 0))
        if pool["status"] == "slashed":
            raise ModelRefusal("POOL_SLASHED")
        # An open pool that still waits to be closed is expired too; createdAt <= h always holds.
        if pool["status"] == "expired" or self.height >= pool["expiresAt"]:
            raise ModelRefusal("POOL_EXPIRED")
        if target == pool["creator"]:
            raise ModelRefusal("SELF_PAYMENT")
        if payer != pool["creator"]:
            raise ModelRefusal("NOT_CREATOR")
        if publisher != target:
            raise ModelRefusal("NOT_TARGET")
        if tgt_seq != seq + 1:
            raise ModelRefusal("BAD_SEQUENCE")
        if amount <= paid_before:
            raise ModelRefusal("AMOUNT_NOT_INCREASED")

        if amount - paid_before <= pool["deposit"] - pool["spent"]:
            return self._settle(tx_hash, pool_id, target, amount - paid_before, fee)
        return self._slash(tx_hash, pool_id, target, fee)

    def _settle(self, tx_hash: bytes, pool_id: bytes, target: bytes, due: int, fee: int) -> Receipt:
        """Pay what is due out of the deposit, then take the fee from the target."""
        if self.balance(target) + due < fee:
            raise ModelRefusal("INSUFFICIENT_BALANCE")
        seq, paid_before = self.targets.get((pool_id, target), (0, 0))
        self.pools[pool_id]["spent"] += due
        self.targets[(pool_id, target)] = (seq + 1, paid_before + due)
        self._credit(target, due - fee)
        return self._receipt(tx_hash, SETTLED, fee, pool_id, paid=due)

    def _slash(self, tx_hash: bytes, pool_id: bytes, target: bytes, fee: int) -> Receipt:
        """Pay what remains and the reward, burn the rest of the collateral."""
        pool = self.pools[pool_id]
        seq, paid_before = self.targets.get((pool_id, target), (0, 0))
        remaining = pool["deposit"] - pool["spent"]
        reward = min(fee + self.reward, pool["collateral"] - pool["deposit"] - 1)
        burned = pool["collateral"] - reward
        fee_taken = min(fee, remaining + reward)
        # Reading: a slashed pool's spent changes too, whatever the rule for closed records says.
        pool["spent"] = pool["deposit"]
        pool["status"] = "slashed"
        self.targets[(pool_id, target)] = (seq + 1, paid_before + remaining)
        self.burned += burned
        self.slashes[pool_id] = (burned, reward)
        self._credit(target, remaining + reward - fee_taken)
        return self._receipt(tx_hash, SLASHED, fee_taken, pool_id, remaining, burned, reward)

    def _check_new_and_fee(self, raw: bytes, fee: int) -> bytes:
        """ALREADY_COMMITTED, then FEE_TOO_LOW; return the transaction hash."""
        tx_hash = keccak(raw)
        if tx_hash in self.committed:
            raise ModelRefusal("ALREADY_COMMITTED")
        if fee < self.min_fee:
            raise ModelRefusal("FEE_TOO_LOW")
        return tx_hash

    def _check_nonce_and_balance(self, sender: bytes, nonce: int, cost: int) -> None:
        """BAD_NONCE or NONCE_GAP, then INSUFFICIENT_BALANCE."""
        if nonce < self.nonce(sender):
            raise ModelRefusal("BAD_NONCE")
        if nonce > self.nonce(sender):
            raise ModelRefusal("NONCE_GAP")
        if self.balance(sender) < cost:
            raise ModelRefusal("INSUFFICIENT_BALANCE")

    def _credit(self, address: bytes, amount: int) -> None:
        """Add to a balance; a settlement worth less than its fee adds a negative amount."""
        self._write(address, self.balance(address) + amount, self.nonce(address))

    def _write(self, address: bytes, balance: int, nonce: int) -> None:
        """Write an account; one with balance 0 and nonce 0 is absent."""
        assert 0 <= balance < AMOUNT_LIMIT, "every balance is below 2^128"
        if balance == 0 and nonce == 0:
            self.accounts.pop(address, None)
        else:
            self.accounts[address] = (balance, nonce)

    @staticmethod
    def _receipt(
        tx_hash: bytes,
        outcome: int,
        fee: int,
        pool_id: bytes,
        paid: int = 0,
        burned: int = 0,
        reward: int = 0,
    ) -> Receipt:
        """Build a receipt; what the outcome does not have is zero."""
        # Reading: `paid` is what this transaction paid, not the record's total.
        return Receipt(
            transactionHash=tx_hash,
            outcome=outcome,
            fee=fee,
            cptxHash=pool_id,
            paid=paid,
            burned=burned,
            reward=reward,
        )
