"""eth-account against this node: digests, signatures, signers, addresses of a mnemonic, whole transactions."""

from __future__ import annotations

import pytest

from crypto.address import checksum_address
from crypto.hashing import keccak256
from crypto.signature import SigningKey, check_canonical, recover
from poolchain.mnemonic import derive_keys
from tests.wallets import CHAIN_ID_MAX, PRIMARY, EthAccount
from tests.workbench import Workbench

from .samples import PHRASES, accept_life, draw_samples, live

EACH = 40
SAMPLES = draw_samples("eth-account", EACH)


@pytest.fixture(scope="module")
def wallet() -> EthAccount:
    return EthAccount()


def test_samples_reach_the_ends_of_every_range() -> None:
    assert {sample.primary for sample in SAMPLES} == set(PRIMARY)
    assert {1, CHAIN_ID_MAX} < {sample.chain_id for sample in SAMPLES}
    values = [value for sample in SAMPLES for value in sample.flat.values()]
    assert {0, 2**64 - 1, 2**128 - 1} <= {value for value in values if isinstance(value, int)}
    assert {bytes(20), b"\xff" * 20, bytes(32), b"\xff" * 32} <= {v for v in values if isinstance(v, bytes)}


@pytest.mark.parametrize("primary", PRIMARY)
def test_digests_and_signatures_are_the_same(wallet: EthAccount, primary: str) -> None:
    chosen = [sample for sample in SAMPLES if sample.primary == primary]
    assert len(chosen) == EACH
    for sample in chosen:
        digest, signature = sample.ours()
        assert wallet.digest(sample.document) == digest, sample
        assert wallet.sign(sample.secret, sample.document) == signature, sample


def test_each_finds_the_others_signer(wallet: EthAccount) -> None:
    for sample in SAMPLES[::7]:
        digest, signature = sample.ours()
        theirs = wallet.sign(sample.secret, sample.document)
        check_canonical(theirs)
        address = SigningKey(sample.secret).address
        assert recover(digest, theirs) == address
        assert wallet.recover(sample.document, signature) == address
        assert wallet.address(sample.secret) == checksum_address(address)


def test_each_finds_the_same_stranger_in_another_document(wallet: EthAccount) -> None:
    for sample in SAMPLES[::11]:
        _, signature = sample.ours()
        other = sample._replace(salt=keccak256(sample.salt))
        digest, _ = other.ours()
        stranger = recover(digest, signature)
        assert stranger != SigningKey(sample.secret).address
        assert wallet.recover(other.document, signature) == stranger


@pytest.mark.parametrize("phrase", PHRASES)
def test_addresses_of_a_mnemonic_are_the_same(wallet: EthAccount, phrase: str) -> None:
    for index, key in enumerate(derive_keys(phrase, 4)):
        assert wallet.derived(phrase, f"m/44'/60'/0'/0/{index}") == (key.secret, checksum_address(key.address))


def test_ledger_takes_transactions_of_eth_account_as_they_are(wallet: EthAccount) -> None:
    bench = Workbench()
    accept_life(bench, live(bench, wallet.sign))
