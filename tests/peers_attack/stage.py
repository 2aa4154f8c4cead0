"""Where the attacks happen: a devnet, a publisher, and whoever is started beside them."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.request import urlopen

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from peers.payment import Payment
from peers.settlement import sign_settlement
from poolchain.devnet import devnet_keys
from tests.functional.cacher_process import tokens
from tests.functional.node_process import NodeProcess

from .processes import Program

if TYPE_CHECKING:
    from pathlib import Path

    from crypto.signature import SigningKey

FEE = 10**12
PRICE = 5 * FEE
CHUNK_BYTES = 700
POOLCHAIN = "tests.peers_attack.programs.honest"
KEYS = devnet_keys().accounts
VIEWER = KEYS[0]


@dataclass
class Stage:
    """`with Stage(folder, chunks=40) as stage`: node and origin run inside."""

    folder: Path
    chunks: int
    price: int = PRICE
    node: NodeProcess = field(init=False)
    file: Path = field(init=False)
    origin: dict[str, Any] = field(init=False)
    domain: Domain = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)
    _count: int = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _start(self) -> None:
        self.file = self.folder / "film.bin"
        parts = (keccak256(number.to_bytes(4)) * (CHUNK_BYTES // 32 + 1) for number in range(self.chunks))
        self.file.write_bytes(b"".join(part[:CHUNK_BYTES] for part in parts)[:-7])
        self.node = self._stack.enter_context(NodeProcess(self.folder))
        status = self.node.call("chain_status")
        self.domain = Domain.of(int(status["chainId"], 16), bytes.fromhex(status["genesisHash"][2:]))
        publish = ["publish", self.file, "--chunk-bytes", CHUNK_BYTES, "--price", tokens(self.price), "--port", 0]
        self.origin = self.program(POOLCHAIN, *publish, "--json").first_line()

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def resource_id(self) -> str:
        return str(self.origin["resourceId"])

    def program(self, module: str, *arguments: object, environment: dict[str, str] | None = None) -> Program:
        """Start a program that is ended with the stage at the latest."""
        self._count += 1
        out = self.folder / f"program-{self._count}.out"
        return self._stack.enter_context(Program(module, arguments, out=out, environment=environment))

    def serve(self, account: int, *options: object, first: int = 0, port: int = 0) -> list[object]:
        """The arguments of an honest cacher."""
        command: list[object] = ["serve", "--rpc", self.node.url, "--from", f"devnet:{account}", "--json"]
        command += ["--price", tokens(self.price), "--origin", self.origin["url"], "--port", port]
        command += ["--first-amount", tokens(first)] if first else []
        return [*command, "--data-dir", self.folder / f"cacher-{account}", *options]

    def thief(self, conduct: str, key: SigningKey, *, first: int) -> Program:
        """Start a hostile cacher."""
        arguments = (conduct, key.secret.hex(), self.file, CHUNK_BYTES, self.price, first)
        domain = (int(self.node.call("eth_chainId"), 16), self.domain.genesis_hash.hex())
        return self.program("tests.peers_attack.programs.hostile_cacher", *arguments, *domain)

    def purchase(self, folder: Path, *peers: str, origin: bool = True, deposit: int = 0) -> list[object]:
        """The arguments of the honest viewer."""
        command: list[object] = [self.node.url, VIEWER.secret.hex(), self.resource_id]
        command += [self.origin["url"] if origin else "", folder, folder.with_suffix(".bin"), self.price, deposit]
        return [*command, *peers]

    # The chain

    def pool(self, cptx_hash: str) -> dict[str, Any]:
        found: dict[str, Any] = self.node.call("pool_get", cptxHash=cptx_hash)
        return found

    def paid(self, cptx_hash: str, target: bytes) -> int:
        """What the chain has paid to a target."""
        found = self.node.call("pool_getTarget", cptxHash=cptx_hash, target=checksum_address(target))
        return int(found["paid"], 16) if found else 0

    def cash(self, payment: Payment, key: SigningKey) -> str:
        """Publish a payment as its target; return the outcome."""
        raw = sign_settlement(payment, FEE, key, self.domain)
        found = self.node.call("tx_submit", raw=f"0x{raw.hex()}", wait="committed")
        return str(found["receipt"]["outcome"])


def get(url: str) -> dict[str, Any]:
    """The JSON at a url."""
    with urlopen(url, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def wait_until(condition: Any, seconds: float = 30.0) -> Any:
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found
