"""The devnet's genesis and its publicly known keys (protocol section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crypto.hashing import ZERO_HASH
from crypto.signature import SigningKey
from ledger.genesis import Genesis

from .mnemonic import derive_keys

MNEMONIC: Final = "test test test test test test test test test test test junk"
CHAIN_ID: Final = 20487
TIMESTAMP: Final = 1767225600
TOKEN: Final = 10**18
"""Base units of one token."""
ACCOUNTS: Final = 10
AUTHORITY_INDEX: Final = 10
FAUCET_INDEX: Final = 9
BALANCE_TOKENS: Final = 10_000


@dataclass(frozen=True, slots=True)
class DevnetKeys:
    """The keys everybody knows: never send anything of value to their addresses."""

    accounts: tuple[SigningKey, ...]
    authority: SigningKey

    @property
    def faucet(self) -> SigningKey:
        """The account that dev_faucet pays from."""
        return self.accounts[FAUCET_INDEX]


def devnet_keys() -> DevnetKeys:
    """Return accounts 0 to 9 and the authority, account 10."""
    keys = derive_keys(MNEMONIC, AUTHORITY_INDEX + 1)
    return DevnetKeys(tuple(keys[:ACCOUNTS]), keys[AUTHORITY_INDEX])


def devnet_genesis(keys: DevnetKeys, chain_id: int = CHAIN_ID, extra: bytes = ZERO_HASH) -> Genesis:
    """Return the devnet's genesis, the same everywhere; `extra` tells the runs after a reset apart."""
    return Genesis(
        chain_id=chain_id,
        timestamp=TIMESTAMP,
        authority=keys.authority.address,
        extra=extra,
        alloc={key.address: BALANCE_TOKENS * TOKEN for key in keys.accounts},
        block_interval=1,
        min_fee=10**12,
        reward=TOKEN,
        min_duration=1,
        max_duration=10**6,
        max_expiries_per_block=1_000,
        max_block_transactions=5_000,
        max_block_bytes=2 * 1024 * 1024,
    )
