"""A fresh anvil with the contract on it, asked in batches, and what its receipts, balances and storage have to say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from crypto.hashing import keccak256
from crypto.signature import SigningKey
from crypto.words import encode_address, encode_uint

from .anvil_calls import ask, pending, to_hex
from .anvil_process import CHAIN_ID, anvil, bytecode
from .caller import Caller
from .checks import Wrong, expect
from .ethereum import Fees, Transaction, call_data, contract_address
from .signed import key

ETHER: Final = 10**18
_DEPLOYER: Final = 9_999_999
_DEPLOY_GAS: Final = 4_000_000
_SENT_AT_ONCE: Final = 500
_BLOCKS_AT_ONCE: Final = 20
_DOMAIN: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_PAYMENT: Final = b"ServicePayment(address target,uint256 amount,bytes32 cptxHash,uint64 tgtSeq)"


class Contract(NamedTuple):
    """The contract where it is; small enough to be sent to the processes that sign."""

    address: bytes
    separator: bytes
    fees: Fees

    @classmethod
    def at(cls, address: bytes, fees: Fees) -> Contract:
        """Return the contract at an address, with its EIP-712 domain."""
        words = (encode_uint(CHAIN_ID), encode_address(address))
        hashes = map(keccak256, (_DOMAIN, b"Poolchain", b"1"))
        return cls(address, keccak256(b"".join((*hashes, *words))), fees)

    def promise(self, creator: SigningKey, target: bytes, amount: int, pool: bytes, tgt_seq: int) -> bytes:
        """Return a ServicePayment as the contract takes it, r and vs, signed by (or as) the creator."""
        words = (encode_address(target), encode_uint(amount), pool, encode_uint(tgt_seq))
        message = keccak256(b"".join((keccak256(_PAYMENT), *words)))
        signature = creator.sign(keccak256(b"\x19\x01" + self.separator + message))
        parity = (signature[64] - 27) << 7
        return signature[:32] + bytes([signature[32] | parity]) + signature[33:64]


def pool_id(creator: bytes, salt: int) -> bytes:
    """Return the id of the pool that a creator makes with this salt."""
    return keccak256(encode_address(creator) + encode_uint(salt))


@dataclass(frozen=True, slots=True)
class Chain:
    """A running anvil and the contract on it."""

    port: int
    caller: Caller
    contract: Contract

    def ask(self, method: str, calls: Iterable[Sequence[Any]]) -> list[Any]:
        """Return the results of one method for many parameters, in batches; raises RuntimeError for an error."""
        return ask(self.caller, method, calls)

    def fund(self, addresses: Iterable[bytes], balance: int) -> None:
        """Give every address this balance."""
        self.ask("anvil_setBalance", [(to_hex(address), hex(balance)) for address in addresses])

    def send(self, raws: Sequence[bytes]) -> None:
        """Send transactions and mine them one group after the other; raises Wrong unless all succeed."""
        for at in range(0, len(raws), _SENT_AT_ONCE):
            self.ask("eth_sendRawTransaction", [(to_hex(raw),) for raw in raws[at : at + _SENT_AT_ONCE]])
            while pending(self.caller):
                self.caller.call("evm_mine")
        self.receipts(raws)

    def receipts(self, raws: Sequence[bytes]) -> list[Any]:
        """Return the receipt of every transaction, in their order; raises Wrong unless each is there and a success.

        They are read by blocks: asking for single ones takes anvil a time that grows with their block.
        """
        wanted = [to_hex(keccak256(raw)) for raw in raws]
        found: dict[str, Any] = {}
        wanted_set = set(wanted)
        height = int(self.caller.call("eth_blockNumber"), 16)
        while height and not found.keys() >= wanted_set:
            lowest = max(0, height - _BLOCKS_AT_ONCE)
            for block in self.ask("eth_getBlockReceipts", [(hex(one),) for one in range(lowest + 1, height + 1)]):
                found |= {receipt["transactionHash"]: receipt for receipt in block}
            height = lowest
        receipts = [found.get(one) for one in wanted]
        bad = [receipt for receipt in receipts if receipt is None or receipt["status"] != "0x1"]
        if bad:
            raise Wrong(f"{len(bad)} of {len(wanted)} transactions are missing or have failed, such as {bad[0]}")
        return receipts

    def balances(self, addresses: Iterable[bytes]) -> list[int]:
        """Return the balance of each address."""
        return [int(found, 16) for found in self.ask("eth_getBalance", [(to_hex(one), "latest") for one in addresses])]

    def read(self, signature: str, values: Iterable[Sequence[int | bytes]]) -> list[list[int]]:
        """Return the words that a reading function of the contract answers to each of these."""
        to = to_hex(self.contract.address)
        found = self.ask(
            "eth_call", [({"to": to, "data": to_hex(call_data(signature, *one))}, "latest") for one in values]
        )
        return [[int(text[at : at + 64], 16) for at in range(2, len(text), 64)] for text in found]


@contextmanager
def fresh_chain(folder: Path, *options: str) -> Iterator[Chain]:
    """Run anvil with these options and put the contract on it."""
    code = bytecode()
    with anvil(folder, *options) as port, Caller(port) as caller:
        fees = Fees(10**10, 0) if "--block-base-fee-per-gas" in options else Fees(10**10, 10**9)
        deployer = key(_DEPLOYER)
        chain = Chain(port, caller, Contract.at(contract_address(deployer.address, 0), fees))
        chain.fund([deployer.address], ETHER)
        chain.send([Transaction(0, _DEPLOY_GAS, b"", 0, code).sign(deployer, CHAIN_ID, fees)])
        yield chain


def expect_equal(what: str, expected: Sequence[object], found: Sequence[object]) -> None:
    """Raise Wrong unless the two are equal, member by member."""
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        expect(f"{what} {number}", one, other)
