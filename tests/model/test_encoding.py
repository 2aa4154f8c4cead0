"""Genesis, headers, trees, and what is refused on the wire, written out by hand."""

import hashlib
from collections.abc import Callable

import pytest

from . import signing
from .encoding import CURVE_ORDER, Header, Receipt, encode_header, encode_receipt, keccak
from .reference import Model, block_hash, merkle_root, receipts_root
from .small_chain import ALICE_KEY, AUTHORITY, BOB, CAROL, CAROL_KEY, STATE_ROOT, Chain, genesis

# Genesis, headers, trees


def test_genesis_hash_is_the_hash_of_ten_words_written_out() -> None:
    canonical = (
        b'{"alloc":{"0x1eff47bc3a10a45d4b230b5d10e37751fe6aa718":"0x64",'
        b'"0x2b5ad5c4795c026514f8317c7a215e218dccd6cf":"0x1388",'
        b'"0x7e5f4552091a69125d5dfcb7b8c2659029395bdf":"0xf4240"},'
        b'"authority":"0xe57bfe9f44b819898f47bf37e5af72a0783e1141",'
        b'"blockInterval":"0x1","chainId":"0x5007",'
        b'"extra":"0x0000000000000000000000000000000000000000000000000000000000000000",'
        b'"maxBlockBytes":"0x200000","maxBlockTransactions":"0x1388","maxDuration":"0x32",'
        b'"maxExpiriesPerBlock":"0x2","minDuration":"0x2","minFee":"0xa","reward":"0x64",'
        b'"timestamp":"0x6955b900"}'
    )
    empty = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    header = (
        bytes.fromhex("5007".rjust(64, "0"))
        + bytes(32)
        + bytes.fromhex("6955b900".rjust(64, "0"))
        + keccak(canonical)
        + empty
        + bytes(32)
        + empty
        + STATE_ROOT
        + empty
        + bytes(12)
        + AUTHORITY
    )
    assert len(header) == 320
    assert Chain().model.genesis_hash == keccak(header)


def test_genesis_state_is_the_allocations() -> None:
    model = Model(genesis(alloc={"0x" + BOB.hex(): "0x1", "0x" + CAROL.hex(): "0x0"}), STATE_ROOT)
    assert model.accounts == {BOB: (1, 0)}
    assert (model.pools, model.targets, model.burned) == ({}, {}, 0)
    assert model.supply_equation_holds()
    assert Model(genesis(), STATE_ROOT).genesis_supply == 1_005_100


def test_genesis_hash_depends_on_extra_and_on_the_state_root() -> None:
    former = Model(genesis(), STATE_ROOT).genesis_hash
    assert Model(genesis(extra="0x" + former.hex()), STATE_ROOT).genesis_hash != former
    assert Model(genesis(), bytes(32)).genesis_hash != former


@pytest.mark.parametrize(
    "changes",
    [
        {"chainId": "0x0"},
        {"chainId": "0xfffffffffffed"},  # 4503599627370477, one too many
        {"chainId": "0x05"},
        {"chainId": "-0x5"},
        {"minFee": "0x100000000000000000000000000000000"},
        {"authority": "0xE57bfe9f44b819898f47bf37e5af72a0783e1141"},
        {"extra": "0x00"},
        {"colour": "0x1"},
        {"alloc": {"0x" + "01" * 20: "0x" + "8" + "0" * 31, "0x" + "02" * 20: "0x8" + "0" * 31}},
    ],
)
def test_genesis_refuses_what_the_page_excludes(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Model(genesis(**changes), STATE_ROOT)


def test_genesis_refuses_a_missing_member() -> None:
    members = genesis()
    del members["extra"]
    with pytest.raises(ValueError, match="members"):
        Model(members, STATE_ROOT)


def test_genesis_accepts_the_largest_chain_id_and_sum() -> None:
    alloc = {"0x" + "01" * 20: "0x" + "f" * 32}
    model = Model(genesis(chainId="0xfffffffffffec", alloc=alloc), STATE_ROOT)
    assert model.chain_id == 4503599627370476
    assert model.balance(b"\x01" * 20) == 340282366920938463463374607431768211455


def test_merkle_root_of_the_certificate_transparency_vectors() -> None:
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    entries = [bytes.fromhex(leaf) for leaf in leaves] + [bytes(range(0x60, 0x70))]
    roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    assert [merkle_root(entries[:size]).hex() for size in range(9)] == roots


def test_receipt_is_seven_words() -> None:
    receipt: Receipt = {
        "transactionHash": b"\xaa" * 32,
        "outcome": 3,
        "fee": 10,
        "cptxHash": b"\xbb" * 32,
        "paid": 1000,
        "burned": 1390,
        "reward": 110,
    }
    expected = "aa" * 32 + "0" * 63 + "3" + "0" * 63 + "a" + "bb" * 32
    expected += "0" * 61 + "3e8" + "0" * 61 + "56e" + "0" * 62 + "6e"
    assert encode_receipt(receipt).hex() == expected
    assert len(encode_receipt(receipt)) == 224
    leaf = hashlib.sha256(b"\x00" + bytes.fromhex(expected)).digest()
    assert receipts_root([receipt]) == leaf
    assert receipts_root([receipt, receipt]) == hashlib.sha256(b"\x01" + leaf + leaf).digest()
    receipt["outcome"] = 4
    with pytest.raises(ValueError, match="range"):
        encode_receipt(receipt)


def test_header_words_have_ranges() -> None:
    model = Model(genesis(), STATE_ROOT)
    header: Header = {**model.genesis_header, "height": 1, "parentHash": model.genesis_hash}
    assert len(encode_header(header)) == 320
    assert block_hash(header) == keccak(encode_header(header))
    for wrong in (-1, 2**64):
        with pytest.raises(ValueError, match="range"):
            encode_header({**header, "txCount": wrong})
    with pytest.raises(ValueError, match="32 bytes"):
        encode_header({**header, "txRoot": bytes(31)})
    with pytest.raises(ValueError, match="20 bytes"):
        encode_header({**header, "authority": bytes(21)})


# Bytes on the wire


def test_lengths_are_exact(chain: Chain) -> None:
    raws = [chain.transfer(ALICE_KEY, BOB, 1), chain.create()]
    raws.append(chain.payment(CAROL_KEY, chain.pool(), 1))
    assert [len(raw) for raw in raws] == [194, 258, 291]
    for raw in raws:
        chain.refuse(raw + b"\x00", "MALFORMED")
        chain.refuse(raw[:-1], "MALFORMED")
        chain.refuse(raw[:1], "MALFORMED")
        for wrong_type in (0, 4, 255, raw[0] % 3 + 1):
            chain.refuse(bytes([wrong_type]) + raw[1:], "MALFORMED")
    chain.refuse(b"", "MALFORMED")


def test_words_out_of_range_are_malformed_even_when_signed(chain: Chain) -> None:
    amount, number, wide = 2**128, 2**64, b"\x01" + bytes(31)
    pool_id = chain.pool()
    dirty_target = bytes(11) + b"\x01" + CAROL
    dirty_words = signing.payment_words(dirty_target, 1, pool_id, 1)
    by_creator = signing.sign_payment(ALICE_KEY, chain.domain, dirty_words)
    for raw in (
        chain.transfer(ALICE_KEY, wide, 1),
        chain.transfer(ALICE_KEY, dirty_target, 1),
        chain.transfer(ALICE_KEY, BOB, amount),
        chain.transfer(ALICE_KEY, BOB, 1, fee=amount),
        chain.transfer(ALICE_KEY, BOB, 1, nonce=number),
        chain.create(deposit=amount),
        chain.create(collateral=amount),
        chain.create(duration=number),
        chain.create(fee=amount),
        chain.create(nonce=number),
        chain.payment(CAROL_KEY, pool_id, amount),
        chain.payment(CAROL_KEY, pool_id, 1, seq=number),
        chain.payment(CAROL_KEY, pool_id, 1, fee=amount),
        chain.payment(CAROL_KEY, pool_id, 1, fee=2**256 - 1),
        signing.settle(CAROL_KEY, chain.domain, dirty_words, by_creator, 10),
    ):
        chain.refuse(raw, "MALFORMED")


def test_malformed_comes_before_bad_signature(chain: Chain) -> None:
    raw = chain.payment(CAROL_KEY, chain.pool(), 1, fee=2**128)
    chain.refuse(raw[:129] + bytes(65) + raw[194:226] + bytes(65), "MALFORMED")


HALF_ORDER = (CURVE_ORDER - 1) // 2
BAD_SIGNATURES: list[Callable[[bytes], bytes]] = [
    signing.with_high_s,
    lambda signature: signature[:64] + b"\x00",
    lambda signature: signature[:64] + b"\x01",
    lambda signature: signature[:64] + b"\x1a",
    lambda signature: signature[:64] + b"\x1d",
    lambda signature: signature[:64] + b"\xff",
    lambda signature: bytes(32) + signature[32:],
    lambda signature: CURVE_ORDER.to_bytes(32, "big") + signature[32:],
    lambda signature: b"\xff" * 32 + signature[32:],
    lambda signature: signature[:32] + bytes(32) + signature[64:],
    lambda signature: signature[:32] + CURVE_ORDER.to_bytes(32, "big") + signature[64:],
    lambda signature: signature[:32] + (HALF_ORDER + 1).to_bytes(32, "big") + signature[64:],
    # No point of the curve has x = 5: 132 is not a square.
    lambda signature: (5).to_bytes(32, "big") + signature[32:],
    lambda _: bytes(65),
]


@pytest.mark.parametrize("spoil", BAD_SIGNATURES)
def test_bad_signatures(chain: Chain, spoil: Callable[[bytes], bytes]) -> None:
    transfer = chain.transfer(ALICE_KEY, BOB, 1)
    chain.refuse(transfer[:129] + spoil(transfer[129:]), "BAD_SIGNATURE")
    create = chain.create()
    chain.refuse(create[:193] + spoil(create[193:]), "BAD_SIGNATURE")
    payment = chain.payment(CAROL_KEY, chain.pool(), 1)
    chain.refuse(payment[:129] + spoil(payment[129:194]) + payment[194:], "BAD_SIGNATURE")
    chain.refuse(payment[:226] + spoil(payment[226:]), "BAD_SIGNATURE")


def test_largest_low_s_is_a_signature_of_somebody(chain: Chain) -> None:
    raw = chain.transfer(ALICE_KEY, BOB, 1)
    edge = raw[:161] + HALF_ORDER.to_bytes(32, "big") + raw[193:]
    chain.refuse(edge, "INSUFFICIENT_BALANCE")
