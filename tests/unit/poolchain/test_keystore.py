"""The keystore keeps keys encrypted, private and in the form that Ethereum's tools read."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import eth_account
import pytest

from crypto.signature import SigningKey
from poolchain.failure import Failure
from poolchain.home import home
from poolchain.keystore import SCRYPT_N, Keystore, encrypt, parse_raw_key, read_raw_key
from tests.model.signing import key_of

if TYPE_CHECKING:
    from pathlib import Path

KEY = SigningKey(key_of(7))
OTHER = SigningKey(key_of(8))
PASSWORD = "pa ß wörd"


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "home" / "keystore")


def test_account_comes_back_with_its_password(keystore: Keystore) -> None:
    path = keystore.add(KEY, PASSWORD, light=True)
    assert path.name == f"0x{KEY.address.hex()}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keystore.directory.stat().st_mode) == 0o700
    assert keystore.load(KEY.address, PASSWORD).secret == KEY.secret
    assert KEY.secret.hex() not in path.read_text()


def test_eth_account_opens_what_we_write(keystore: Keystore) -> None:
    text = keystore.add(KEY, PASSWORD, light=True).read_text()
    assert eth_account.Account.decrypt(text, PASSWORD) == KEY.secret
    assert json.loads(text)["address"] == KEY.address.hex()


def test_we_open_what_eth_account_writes(keystore: Keystore) -> None:
    keystore.add(OTHER, "x", light=True)
    path = keystore.path(KEY.address)
    path.write_text(json.dumps(eth_account.Account.encrypt(KEY.secret, PASSWORD, kdf="pbkdf2", iterations=10)))
    path.chmod(0o600)
    assert keystore.load(KEY.address, PASSWORD).secret == KEY.secret


def test_default_encryption_is_scrypt_at_full_strength() -> None:
    parameters = json.loads(encrypt(KEY, PASSWORD, SCRYPT_N))["crypto"]
    assert (parameters["kdf"], parameters["kdfparams"]["n"]) == ("scrypt", 2**18)


def test_wrong_password_is_refused(keystore: Keystore) -> None:
    keystore.add(KEY, PASSWORD, light=True)
    with pytest.raises(Failure, match="cannot be opened with this password") as caught:
        keystore.load(KEY.address, "another")
    assert caught.value.reason == "BAD_KEY_FILE"


def test_account_is_never_written_over(keystore: Keystore) -> None:
    path = keystore.add(KEY, PASSWORD, light=True)
    before = path.read_bytes()
    with pytest.raises(Failure, match="is there already") as caught:
        keystore.add(KEY, "another", light=True)
    assert caught.value.reason == "ACCOUNT_EXISTS"
    assert path.read_bytes() == before


def test_unknown_account_is_refused(keystore: Keystore) -> None:
    with pytest.raises(Failure, match="poolchain account list") as caught:
        keystore.load(KEY.address, PASSWORD)
    assert caught.value.reason == "ACCOUNT_UNKNOWN"


def test_file_of_another_key_is_refused(keystore: Keystore) -> None:
    keystore.add(OTHER, PASSWORD, light=True).rename(keystore.path(KEY.address))
    with pytest.raises(Failure, match="holds the key of") as caught:
        keystore.load(KEY.address, PASSWORD)
    assert caught.value.reason == "BAD_KEY_FILE"


def test_open_directory_is_not_written_to(keystore: Keystore) -> None:
    keystore.directory.mkdir(parents=True)
    keystore.directory.chmod(0o755)
    with pytest.raises(Failure, match="chmod 700") as caught:
        keystore.add(KEY, PASSWORD, light=True)
    assert caught.value.reason == "NOT_PRIVATE"
    assert not [*keystore.directory.iterdir()]


def test_accounts_are_listed_and_strange_files_are_not(keystore: Keystore) -> None:
    assert keystore.addresses() == []
    keystore.add(KEY, PASSWORD, light=True)
    keystore.add(OTHER, PASSWORD, light=True)
    for name in ("0xnothex.json", "0xab.json", "notes.txt", ".0xhalf.json.1234"):
        (keystore.directory / name).write_text("{}")
    assert keystore.addresses() == sorted([KEY.address, OTHER.address])


def test_home_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLCHAIN_HOME", str(tmp_path))
    assert home() == tmp_path
    assert Keystore().directory == tmp_path / "keystore"
    monkeypatch.setenv("POOLCHAIN_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert home() == tmp_path / "user" / ".poolchain"


@pytest.mark.parametrize("text", [KEY.secret.hex(), "0x" + KEY.secret.hex(), KEY.secret.hex().upper() + "\n"])
def test_raw_key_is_read_from_a_private_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.hex"
    path.write_text(text)
    path.chmod(0o600)
    assert read_raw_key(path).address == KEY.address


def test_raw_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.hex"
    path.write_text(KEY.secret.hex())
    path.chmod(0o640)
    with pytest.raises(Failure, match="chmod 600") as caught:
        read_raw_key(path)
    assert caught.value.reason == "NOT_PRIVATE"


@pytest.mark.parametrize("text", ["", "0x", "ab", "zz" * 32, "00" * 32, "ff" * 32, "11" * 33, "11" * 100, "{}"])
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    assert parse_raw_key(text) is None
    path = tmp_path / "key.hex"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Failure, match="64 hex digits") as caught:
        read_raw_key(path)
    assert len(text) < 3 or text not in str(caught.value)


def test_huge_or_binary_file_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key.hex"
    for data in (b"1" * 70_000, b"\xff" * 64):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(Failure, match="is not a key file"):
            read_raw_key(path)
