"""What the people of the demonstration can do; after each deed the chain is compared with the books."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from crypto.address import checksum_address
from crypto.hashing import keccak256
from crypto.signature import SECRET_BYTES, SigningKey
from light.documents import read_document
from light.errors import ProofRefused
from light.handshake import ProvenPool, verify_handshake
from light.verify import Trust
from poolchain.chain_client import Json, hex_text, number
from poolchain.failure import Failure
from poolchain.payment_file import Payment, SignedPayment, encode_payment, make_payment, parse_payment
from poolchain.rpc_client import RpcFailure
from poolchain.signing import sign_settlement, sign_transaction

from .figures import Figures
from .rules import Books, PoolBook
from .stage import Stage
from .teller import Teller

ALICE: Final = "Alice"
PAYEES: Final = ("Bob", "Carol", "Dave", "Edward")


@dataclass(frozen=True, slots=True)
class OpenPool:
    """A pool on the chain and the book kept of it."""

    cptx_hash: bytes
    created_at: int
    expires_at: int
    book: PoolBook


class Actors:
    """Alice and her payees, with fresh keys."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        """Open the books with nothing in anybody's account."""
        facts = stage.facts()
        self.stage = stage
        self.teller = teller
        self.figures = Figures()
        self.books = Books(facts.min_fee, facts.reward, dict.fromkeys((ALICE, *PAYEES), 0))
        self.keys = {name: SigningKey(secrets.token_bytes(SECRET_BYTES)) for name in self.books.balances}
        self._domain = facts.domain
        self._trust = Trust(facts.authority, facts.domain.genesis_hash)
        self._nonce = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show balances before and after what happens inside, and compare them with the books."""
        before = dict(self.books.balances)
        self.teller.begin(title)
        yield
        for name, key in self.keys.items():
            balance = self.stage.client.account(key.address).balance
            self.figures.expect_tokens(f"{name}'s balance after '{title}'", self.books.balances[name], balance)
        self.teller.balances(before, self.books.balances)

    def receive_from_faucet(self, amount: int) -> None:
        """Give Alice tokens."""
        self.teller.transaction(self.stage.fund(self.keys[ALICE].address, amount))
        self.books.balances[ALICE] += amount

    def create_pool(self, deposit: int, duration: int) -> OpenPool:
        """Have Alice lock a deposit and the collateral that the protocol recommends."""
        collateral = self.books.default_collateral(deposit)
        book, effect = self.books.create(ALICE, deposit, collateral)
        fields = {
            "resourceId": keccak256(secrets.token_bytes(32)),
            "deposit": deposit,
            "collateral": collateral,
            "duration": duration,
            "fee": self.books.min_fee,
            "nonce": self._nonce,
        }
        self._nonce += 1
        raw = sign_transaction("CreatePool", fields, self.keys[ALICE], self._domain)
        receipt = self._send(raw)
        self.figures.expect_effect("the CreatePool", effect, receipt)
        self.figures.expect("the pool's id", hex_text(keccak256(raw)), receipt["cptxHash"])
        height = number(receipt["blockHeight"])
        pool = OpenPool(keccak256(raw), height, height + duration, book)
        self.check_pool(pool)
        return pool

    def prove(self, pool: OpenPool, name: str) -> ProvenPool:
        """Return the pool as a payee knows it from proofs alone, all against one head."""
        call = self.stage.client.rpc.call
        target = self.keys[name].address
        cptx_hash = hex_text(pool.cptx_hash)
        head = call("chain_getHeader", block="latest")["hash"]
        documents = (
            call("proof_getTransaction", hash=cptx_hash, head=head),
            call("proof_getState", key={"cptxHash": cptx_hash}, block=head),
            call("proof_getState", key={"cptxHash": cptx_hash, "target": checksum_address(target)}, block=head),
        )
        creation, pool_state, target_state = map(read_document, documents)
        try:
            return verify_handshake(creation, pool_state, target_state, target, self._trust)
        except ProofRefused as refused:
            raise Failure(f"the node's proofs are refused: {refused}.", reason=refused.reason) from refused

    def promise(self, pool: OpenPool, name: str, amount: int) -> SignedPayment:
        """Have Alice sign a payment and its target check it: a file that goes from hand to hand."""
        number_of_settlement = pool.book.settlements.get(name, 0) + 1
        payment = Payment(self.keys[name].address, amount, pool.cptx_hash, number_of_settlement)
        received = parse_payment(encode_payment(make_payment(payment, self.keys[ALICE], self._domain)))
        self.figures.expect(f"the signer of {name}'s payment", self.keys[ALICE].address, received.signer())
        self.figures.expect_tokens(f"the amount of {name}'s payment", amount, received.payment.amount)
        return received

    def settle(self, pool: OpenPool, name: str, signed: SignedPayment) -> Json:
        """Have a target publish a payment; return the receipt, which is what the rules say."""
        receipt = self._send(self._settlement(name, signed))
        effect = self.books.settle(pool.book, name, signed.payment.amount)
        self.figures.expect_effect(f"{name}'s settlement", effect, receipt)
        self.check_pool(pool)
        record = self.stage.client.target(pool.cptx_hash, self.keys[name].address)
        self.figures.expect(f"{name}'s number of settlements", pool.book.settlements[name], record.seq)
        self.figures.expect_tokens(f"what {name} had from the pool", pool.book.paid[name], record.paid)
        return receipt

    def expect_refused(self, reason: str, name: str, signed: SignedPayment) -> None:
        """Check that a payment could not be settled, and why."""
        found = "nothing"
        try:
            self.stage.client.simulate(self._settlement(name, signed))
        except RpcFailure as failure:
            found = failure.reason
        self.figures.expect(f"the refusal of {name}'s older payment", reason, found)

    def check_pool(self, pool: OpenPool) -> None:
        """Compare a pool on the chain with its book."""
        found = self.stage.client.pool(pool.cptx_hash)
        book = pool.book
        self.figures.expect("the pool's creator", self.keys[book.creator].address, found.creator)
        self.figures.expect_tokens("the pool's deposit", book.deposit, found.deposit)
        self.figures.expect_tokens("the pool's collateral", book.collateral, found.collateral)
        self.figures.expect_tokens("what is spent of the pool", book.spent, found.spent)
        self.figures.expect("the pool's first block", pool.created_at, found.created_at)
        self.figures.expect("the pool's expiry", pool.expires_at, found.expires_at)
        self.figures.expect("the pool's status", book.status, found.status)

    def count_transactions(self, pool: OpenPool) -> None:
        """Compare what a pool has cost so far, counted in the blocks, with n + 1."""
        settled = len(pool.book.settlements)
        found = self.stage.count_transactions(pool.cptx_hash, pool.created_at)
        self.figures.expect("the number of transactions, n + 1", settled + 1, found)
        settlements = "1 settlement" if settled == 1 else f"{settled} settlements"
        self.teller.say(f"Transactions on the chain so far: {found}, one for the pool and {settlements}.")

    def _settlement(self, name: str, signed: SignedPayment) -> bytes:
        fields = {**signed.payment.fields(), "fee": self.books.min_fee}
        return sign_settlement(fields, signed.signature, self.keys[name], self._domain)

    def _send(self, raw: bytes) -> Json:
        receipt = self.stage.send(raw)
        self.teller.transaction(receipt)
        return receipt
