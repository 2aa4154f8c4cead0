"""One round of killing: a purchase during which viewer and cacher are killed at named points and started again."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from peers.payment_store import PaymentStore

from .programs.crashing import VARIABLE
from .stage import KEYS, POOLCHAIN, PRICE, VIEWER, Stage, get, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .processes import Program

BUYER = "tests.peers_attack.programs.buyer"
FRAUD = "tests.peers_attack.programs.hostile_viewer"
CRASHING = "tests.peers_attack.programs.crashing"
CACHER = 1
STARTS_MAX = 6
EAGER = ("--margin", 5, "--quiet", 0.1, "--worth", 1)


@dataclass(frozen=True)
class Crash:
    """Where a process ends: at the `number`th time that it comes to `point`; the empty point is never reached."""

    point: str = ""
    number: int = 1


@dataclass
class Arena:
    """The cacher's home over all rounds; each round has a new viewer with a pool of its own."""

    stage: Stage
    neighbour: Program | None = None
    """Another cacher, which nobody kills: what both hold together must not exceed the deposit."""
    port: int = 0
    rounds: int = 0
    hit: set[str] = field(default_factory=set)
    kills: int = 0
    pools: dict[str, int] = field(default_factory=dict)
    """Pool -> the highest payment that was on the cacher's disk."""

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def play(self, viewer: Crash, cacher: Crash) -> dict[str, Any]:
        """Buy until the file is there, with both killed on the way; return the viewer's last report."""
        self.rounds += 1
        folder = self.stage.folder / f"viewer-{self.rounds}"
        others = [self.neighbour.first_line()["url"]] if self.neighbour else []
        command = self.stage.purchase(folder, self._url, *others)
        selling = self._serving(cacher)
        buying = self._start(viewer, BUYER, command, "viewer")
        starts = [1, 1]  # of the viewer, and of the cacher since it listens
        while True:
            self._wait_for_either(buying, selling)
            if not selling.running:
                self._expect_killed(selling)
                starts[1] += 1
                selling = self._serving(Crash())
            if not buying.running:
                if not buying.was_killed:
                    break
                self.kills += 1
                starts[0] += 1
                buying = self._start(Crash(), BUYER, command, "viewer")
            assert max(starts) < STARTS_MAX
        assert buying.wait() == 0, buying.out.read_text()
        report = buying.lines()[-1]
        self._look_at_disk_log("cacher")
        self._until_settled(selling, cacher)
        assert folder.with_suffix(".bin").read_bytes() == self.stage.file.read_bytes()
        self._check(report)
        return report

    @staticmethod
    def _wait_for_either(*programs: Program) -> None:
        wait_until(lambda: not all(program.running for program in programs))

    def slash(self, crash: Crash) -> None:
        """Have a viewer over-sign to a cacher that is killed at this point: the reward is its, all the same."""
        selling = self._serving(crash)
        folder = self.stage.folder / f"fraud-{len(self.hit)}"
        command = ["overdraws", self.stage.node.url, VIEWER.secret.hex(), self.stage.resource_id, self.stage.chunks]
        fraud = self.stage.program(FRAUD, *command, folder, selling.lines()[0]["url"])
        assert fraud.wait() == 0, fraud.out.read_text()
        pool = fraud.lines()[0]["pool"]
        wait_until(lambda: not selling.running)
        self._expect_killed(selling)
        wait_until(lambda: self.stage.pool(pool)["status"] == "slashed")
        selling = self._serving(Crash())
        assert selling.terminate() == 0, selling.out.read_text()[-2000:]
        self._look_at_disk_log("cacher")
        assert pool not in dict(self._held())

    def _serving(self, crash: Crash) -> Program:
        """Start the cacher and wait until it listens; again where it is killed before."""
        selling = self._serve(crash)
        wait_until(lambda: selling.lines() or not selling.running)
        if selling.lines():
            return selling
        self._expect_killed(selling)
        return self._serving(Crash())

    def _until_settled(self, selling: Program, cacher: Crash) -> None:
        """Stop the cacher, which settles; where it is killed before it has, go on after a restart."""
        for _ in range(STARTS_MAX):
            if selling.running:
                status = selling.terminate()
                if not selling.was_killed:
                    assert status == 0, (status, selling.out.read_text()[-2000:])
                    return
            self._expect_killed(selling)
            selling = self._serving(Crash())
        raise AssertionError(f"killed again and again at {cacher}")

    def _check(self, report: dict[str, Any]) -> None:
        pool = report["pool"]
        self._look_at_disk_log("cacher")
        held = dict(self._held())
        stored = self.pools.get(pool, 0)
        paid = self.stage.paid(pool, KEYS[CACHER].address)
        if stored:
            assert held.get(pool, 0) >= stored, "a payment that was on disk is lost"
        delivered = report["peers"].get(self._url, [0])[0] * PRICE
        assert held.get(pool, 0) >= delivered, "chunks were given for payments that are not on disk"
        total = max(stored, held.get(pool, 0)) + self._held_by_neighbour(pool)
        assert total <= report["promised"] <= report["deposit"], "over-signed"
        shown = self.stage.pool(pool)
        assert shown["status"] == "open", shown
        assert paid == held.get(pool, 0), "a stored payment was not settled"
        assert int(self.stage.node.call("eth_blockNumber"), 16) < int(shown["expiresAt"], 16)

    def _held(self) -> Iterator[tuple[str, int]]:
        """What the cacher's disk says of every pool; it is not running."""
        store = PaymentStore.open(self._home / "payments", self.stage.domain.genesis_hash, KEYS[CACHER].address)
        try:
            for book in store.load():
                yield f"0x{book.cptx_hash.hex()}", book.best.promise.amount if book.best else 0
        finally:
            store._writer.close()
            store._store.close()

    def _held_by_neighbour(self, pool: str) -> int:
        """What the other cacher holds, once all of it is settled."""
        if self.neighbour is None:
            return 0
        url = self.neighbour.first_line()["url"]
        row = next((row for row in get(f"{url}/status")["pools"] if row["cptxHash"] == pool), None)
        held = int(row["promised"], 16) if row else 0
        wait_until(lambda: self.stage.paid(pool, KEYS[CACHER + 1].address) == held)
        return held

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def _home(self) -> Path:
        return self.stage.folder / f"cacher-{CACHER}"

    def _serve(self, crash: Crash) -> Program:
        command = self.stage.serve(CACHER, *EAGER, first=PRICE, port=self.port)
        return self._start(crash, POOLCHAIN, command, "cacher")

    def _start(self, crash: Crash, module: str, command: list[object], who: str) -> Program:
        told = {VARIABLE: f"{crash.point}:{crash.number}:{self.stage.folder / f'{who}.log'}"}
        return self.stage.program(CRASHING, module, *command, environment=told)

    def _expect_killed(self, program: Program) -> None:
        assert program.was_killed, program.out.read_text()[-2000:]
        self.kills += 1

    def _look_at_disk_log(self, who: str) -> None:
        for name in ("viewer", who):
            log = self.stage.folder / f"{name}.log"
            for line in log.read_text().splitlines() if log.exists() else []:
                kind, _, rest = line.partition(" ")
                if kind == "hit":
                    self.hit.add(f"{name}: {rest}")
                else:
                    pool, amount = rest.split()
                    self.pools[f"0x{pool}"] = max(self.pools.get(f"0x{pool}", 0), int(amount))
