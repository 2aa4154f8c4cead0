"""Small edits of the pure rooms, each of which some unit test must notice.

`python -m tests.mutants` tries all of them, or those whose file or edit contains one of the words it is given, in a
temporary copy of the tree. A line of the table is (file, what stands there, what is put there instead); what stands
there must be there exactly once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("crypto", "ledger", "txtypes", "consensus", "storage", "tests", "pyproject.toml")
ALSO = {
    "txtypes/service_payment.py": ("tests/unit/txtypes/test_double_spend.py",),
    "ledger/records.py": ("tests/unit/ledger/test_supply.py",),
}
"""Tests besides those that have the module's name."""
SHARED = {
    "crypto/node_tree.py": ("tests/unit/crypto/test_merkle.py",),
    "txtypes/sender.py": ("tests/unit/txtypes/test_transfer.py", "tests/unit/txtypes/test_create_pool.py"),
    "txtypes/table.py": ("tests/unit/txtypes/test_wire.py",),
}
"""Tests of modules that have none of their own name."""
TIMEOUT_S = 300


class Mutant(NamedTuple):
    """One edit."""

    file: str
    old: str
    new: str


PAYMENT, POOL, SENDER = "txtypes/service_payment.py", "txtypes/create_pool.py", "txtypes/sender.py"
TRANSFER, WIRE, TABLE = "txtypes/transfer.py", "txtypes/wire.py", "txtypes/table.py"
TRANSITION, STATE, RECORDS = "ledger/transition.py", "ledger/state.py", "ledger/records.py"
GENESIS, SUPPLY, BLOCK = "ledger/genesis.py", "ledger/supply.py", "ledger/block.py"
HEADER, RECEIPT = "ledger/header.py", "ledger/receipt.py"
SIGNATURE, MERKLE, WORDS = "crypto/signature.py", "crypto/merkle.py", "crypto/words.py"
NODE_TREE = "crypto/node_tree.py"

MUTANTS = (
    # Settlements
    Mutant(PAYMENT, "if due > pool.remaining:", "if due >= pool.remaining:"),
    Mutant(PAYMENT, "if due > pool.remaining:", "if due > pool.remaining + 1:"),
    Mutant(PAYMENT, "if due > pool.remaining:", "if fields.amount > pool.remaining:"),
    Mutant(PAYMENT, "if due > pool.remaining:", "if due > pool.deposit:"),
    Mutant(PAYMENT, "height >= pool.expires_at:", "height > pool.expires_at:"),
    Mutant(PAYMENT, "height >= pool.expires_at:", "height + 1 >= pool.expires_at:"),
    Mutant(PAYMENT, "if pool.status is PoolStatus.SLASHED:", "if pool is None:"),
    Mutant(PAYMENT, "if target == pool.creator:", "if target is None:"),
    Mutant(PAYMENT, "if creator_signer != pool.creator:", "if creator_signer == target:"),
    Mutant(PAYMENT, "if target_signer != target:", "if target_signer == pool.creator:"),
    Mutant(PAYMENT, "creator_signer, target_signer = ", "target_signer, creator_signer = "),
    Mutant(PAYMENT, "if fields.tgt_seq != record.seq + 1:", "if fields.tgt_seq <= record.seq:"),
    Mutant(PAYMENT, "if fields.tgt_seq != record.seq + 1:", "if fields.tgt_seq > record.seq + 1:"),
    Mutant(PAYMENT, "if fields.amount <= record.paid:", "if fields.amount < record.paid:"),
    Mutant(PAYMENT, "if available < fields.fee:", "if available <= fields.fee:"),
    Mutant(PAYMENT, ".balance + due\n", ".balance\n"),
    Mutant(PAYMENT, "pool.after_payment(due,", "pool.after_payment(fields.amount,"),
    Mutant(PAYMENT, "paid = pool.remaining\n", "paid = fields.amount\n"),
    Mutant(PAYMENT, "min(fields.fee + genesis.reward,", "min(genesis.reward,"),
    Mutant(PAYMENT, "min(fields.fee + genesis.reward,", "min(fields.fee,"),
    Mutant(PAYMENT, "pool.collateral - pool.deposit - 1)", "pool.collateral - pool.deposit)"),
    Mutant(PAYMENT, "pool.collateral - pool.deposit - 1)", "pool.collateral - pool.deposit - 2)"),
    Mutant(PAYMENT, "burned = pool.collateral - reward", "burned = pool.collateral"),
    Mutant(PAYMENT, "fee = min(fields.fee, paid + reward)", "fee = fields.fee"),
    Mutant(PAYMENT, "fee = min(fields.fee, paid + reward)", "fee = min(fields.fee, paid)"),
    Mutant(PAYMENT, "fee = min(fields.fee, paid + reward)", "fee = min(fields.fee, reward)"),
    Mutant(PAYMENT, "pool.after_payment(paid, PoolStatus.SLASHED)", "pool.after_payment(0, PoolStatus.SLASHED)"),
    Mutant(PAYMENT, "pool.after_payment(paid, PoolStatus.SLASHED)", "pool.after_payment(paid, PoolStatus.OPEN)"),
    Mutant(PAYMENT, "    state.burn(burned)\n", ""),
    Mutant(PAYMENT, "Target(record.seq + 1, record.paid + paid)", "Target(record.seq + 1, fields.amount)"),
    Mutant(PAYMENT, "Target(record.seq + 1, record.paid + paid)", "Target(record.seq, record.paid + paid)"),
    Mutant(PAYMENT, "    state.credit(authority, fee)\n", ""),
    Mutant(PAYMENT, "gain=paid + reward, fee=fee)", "gain=paid, fee=fee)"),
    Mutant(PAYMENT, "= _PAYMENT_END + SIGNATURE_BYTES", "= _PAYMENT_END + SIGNATURE_BYTES - 1"),
    # Pools
    Mutant(POOL, "if fields.collateral <= fields.deposit:", "if fields.collateral < fields.deposit:"),
    Mutant(POOL, "if fields.deposit == 0:", "if fields.collateral == 0:"),
    Mutant(POOL, "if not genesis.min_duration <= fields.duration", "if not genesis.min_duration < fields.duration"),
    Mutant(POOL, "<= fields.duration <= genesis.max_duration", "<= fields.duration < genesis.max_duration"),
    Mutant(POOL, "<= fields.duration <= genesis.max_duration", "<= fields.duration <= genesis.max_duration + 1"),
    Mutant(POOL, "fields.deposit + fields.collateral + fields.fee", "fields.deposit + fields.collateral"),
    Mutant(POOL, "        state.credit(context.genesis.authority, fields.fee)\n", ""),
    Mutant(POOL, "expires_at=height + fields.duration", "expires_at=height + fields.duration + 1"),
    Mutant(POOL, "created_at=height,", "created_at=height + 1,"),
    # Senders and transfers
    Mutant(SENDER, "if nonce < account.nonce:", "if nonce + 1 < account.nonce:"),
    Mutant(SENDER, "if nonce > account.nonce:", "if nonce > account.nonce + 1:"),
    Mutant(SENDER, "if account.balance < cost:", "if account.balance <= cost:"),
    Mutant(SENDER, "if account.balance < cost:", "if account.balance + 1 < cost:"),
    Mutant(SENDER, "account.balance - cost, nonce + 1", "account.balance - cost, nonce"),
    Mutant(TRANSFER, "if fields.amount == 0:", "if fields.amount == 1:"),
    Mutant(TRANSFER, "fields.amount + fields.fee)", "fields.amount)"),
    Mutant(TRANSFER, "        state.credit(context.genesis.authority, fields.fee)\n", ""),
    # The wire
    Mutant(WIRE, "if len(raw) != self.wire_bytes:", "if len(raw) < self.wire_bytes:"),
    Mutant(WIRE, "return decode_uint(word, UINT64_LIMIT)", "return decode_uint(word, AMOUNT_LIMIT)"),
    Mutant(WIRE, "return decode_uint(word, AMOUNT_LIMIT)", "return decode_uint(word, AMOUNT_LIMIT << 1)"),
    Mutant(TABLE, "keccak256(raw), fields, signers", "keccak256(raw[1:]), fields, signers"),
    Mutant(SIGNATURE, "_ZERO < signature[32:64] <= _HALF_ORDER_BYTES", "_ZERO < signature[32:64] < _ORDER_BYTES"),
    Mutant(SIGNATURE, "_ZERO < signature[32:64] <= _HALF_ORDER_BYTES", "_ZERO < signature[32:64] < _HALF_ORDER_BYTES"),
    Mutant(SIGNATURE, "_ZERO < signature[:32] < _ORDER_BYTES", "_ZERO <= signature[:32] <= _ORDER_BYTES"),
    Mutant(SIGNATURE, "not _FIRST_V <= signature[64] <= _FIRST_V + 1", "not 0 <= signature[64] <= _FIRST_V + 1"),
    Mutant(WORDS, "if value >= limit:", "if value > limit:"),
    Mutant(WORDS, "if word[:12] != bytes(12):", "if word[:11] != bytes(11):"),
    # Blocks
    Mutant(TRANSITION, "if fee < least:", "if fee <= least:"),
    Mutant(TRANSITION, "if fee < least:", "if fee + 1 < least:"),
    Mutant(TRANSITION, "len(self._receipts) < genesis.max_block", "len(self._receipts) <= genesis.max_block"),
    Mutant(TRANSITION, "<= genesis.max_block_bytes", "< genesis.max_block_bytes"),
    Mutant(TRANSITION, "        self._bytes += len(transaction.raw)\n", ""),
    Mutant(TRANSITION, "state.credit(pool.creator, pool.locked)", "state.credit(pool.creator, pool.remaining)"),
    Mutant(TRANSITION, "state.credit(pool.creator, pool.locked)", "state.credit(pool.creator, pool.collateral)"),
    Mutant(TRANSITION, "or pool.status is not PoolStatus.OPEN", "or pool.status is PoolStatus.SLASHED"),
    Mutant(TRANSITION, '    _expect("WRONG_RECEIPTS_ROOT", result.receipts_root(), header.receipts_root)\n', ""),
    Mutant(TRANSITION, '    _expect("WRONG_STATE_ROOT", state_root(result.changes), header.state_root)\n', ""),
    Mutant(STATE, "before.balance + amount, before.nonce", "before.balance + amount, 0"),
    Mutant(STATE, "in after.items() if record != base[key]", "in after.items()"),
    Mutant(STATE, "self._burned = self.burned + amount", "self._burned = amount"),
    Mutant(RECORDS, "if self.balance == 0 and self.nonce == 0:", "if self.balance == 0:"),
    Mutant(RECORDS, "if self.status is PoolStatus.OPEN else 0", "if self.status is not PoolStatus.SLASHED else 0"),
    Mutant(RECORDS, "return self.remaining + self.collateral", "return self.deposit + self.collateral"),
    Mutant(SUPPLY, "decode_burned(record) - decode_burned(before[key])", "decode_burned(record)"),
    Mutant(SUPPLY, "if supply.total != genesis.supply:", "if supply.total > genesis.supply:"),
    Mutant(
        BLOCK,
        "transactions = reader.take_all_counted()\n        reader.expect_end()\n",
        "transactions = reader.take_all_counted()\n",
    ),
    Mutant(
        BLOCK,
        "found = reader.take_sealed_header()\n        reader.expect_end()\n",
        "found = reader.take_sealed_header()\n",
    ),
    Mutant(HEADER, "decode_address(words[9])", "words[9][12:]"),
    Mutant(HEADER, "decode_uint(words[5], UINT64_LIMIT)", "decode_uint(words[5], UINT64_LIMIT << 1)"),
    Mutant(RECEIPT, "decode_uint(words[2], AMOUNT_LIMIT)", "decode_uint(words[2], AMOUNT_LIMIT << 1)"),
    Mutant(GENESIS, '"chainId": (1, CHAIN_ID_MAX + 1)', '"chainId": (1, CHAIN_ID_MAX + 2)'),
    Mutant(
        GENESIS, "if genesis.min_duration > genesis.max_duration:", "if genesis.min_duration >= genesis.max_duration:"
    ),
    Mutant(GENESIS, "if genesis.supply >= AMOUNT_LIMIT:", "if genesis.supply > AMOUNT_LIMIT:"),
    Mutant(GENESIS, "if len(found) != len(pairs):", "if len(found) > len(pairs):"),
    Mutant(GENESIS, 'r"0x(0|[1-9a-f][0-9a-f]*)\\Z"', 'r"0x(0|[1-9a-f][0-9a-f]*)$"'),
    Mutant(NODE_TREE, "if first in (0, second):", "if first == second:"),
    Mutant(NODE_TREE, "hash_node(folded, entry) if side == 0 else", "hash_node(folded, entry) if side else"),
    Mutant(MERKLE, "while index & 1:", "while index & 3 == 3:"),
)
SMOKE = MUTANTS[:: max(len(MUTANTS) // 10, 1)]
"""The few that every test run tries."""


def misplaced(mutants: tuple[Mutant, ...] = MUTANTS) -> list[Mutant]:
    """Edits whose place is not there exactly once."""
    return [mutant for mutant in mutants if (ROOT / mutant.file).read_text().count(mutant.old) != 1]


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of the tree to make edits in."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            copy(ROOT / name, Path(folder, name))
        yield Path(folder)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    else:
        shutil.copy(source, target)


def files_testing(file: str) -> tuple[str, ...]:
    room, name = file.split("/")
    return SHARED.get(file, (f"tests/unit/{room}/test_{name}", *ALSO.get(file, ())))


def survives(mutant: Mutant, tree: Path) -> bool:
    """Whether the tests of its module, which must pass without it, do not notice an edit."""
    path = tree / mutant.file
    text = path.read_text()
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        return passes(tree, files_testing(mutant.file))
    finally:
        path.write_text(text)


def passes(tree: Path, tests: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    # Python tells old bytecode by the second and the size of a change: two edits within one would be taken for one.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False, timeout=TIMEOUT_S)
    # 1: a test failed, 2: a module could not even be imported.
    if done.returncode not in {0, 1, 2}:
        raise ValueError(done.stdout.decode() + done.stderr.decode())
    return done.returncode == 0


def main(words: list[str]) -> int:
    """Try the mutants that contain one of the words; 1 when one survives."""
    chosen = tuple(mutant for mutant in MUTANTS if not words or any(word in str(mutant) for word in words))
    with copied_tree() as tree:
        if not passes(tree, sorted({test for mutant in chosen for test in files_testing(mutant.file)})):
            raise ValueError("the tests do not pass without any edit")
        found = [*misplaced(chosen), *(mutant for mutant in chosen if survives(mutant, tree))]
    sys.stdout.write("".join(f"survives: {mutant}\n" for mutant in found) + f"{len(chosen)} mutants tried\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
