"""A film that is bought while hls.js plays it in a real browser, on a page of another origin than the gateway's."""

from __future__ import annotations

import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.js_oracle import FOLDER, give_up

from .browser import NAMES, PageServer, find_browser, visit
from .node_process import ROOT
from .peer_commands import PeerCommand, make_hls
from .town import PRICE, Town, town

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.node, pytest.mark.slow]

PLAYER = FOLDER / "node_modules/hls.js/dist/hls.min.js"
PAGE = ROOT / "examples/play.html"
PLAYLIST_OF_PAGE = "http://127.0.0.1:8900/index.m3u8"
LOADS_PLAYER = '<script src="hls.min.js"></script>'
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
IN_RANGES = ("-hls_segment_type", "fmp4", "-hls_flags", "single_file")


class Stream(NamedTuple):
    """A playlist's folder within the film, and what is in it."""

    folder: Path
    seconds: int
    segments: int

    def make(self, *options: str) -> None:
        length = self.seconds // self.segments
        cut = ("-g", str(10 * length), "-hls_time", str(length))  # at ten pictures a second
        make_hls(self.folder, *CODED, *cut, *options, picture="size=320x180:rate=10", seconds=self.seconds)


def expect_tools() -> None:
    if shutil.which("ffmpeg") is None:
        give_up("ffmpeg is not installed")
    if find_browser() is None:
        give_up(f"no browser is installed ({' or '.join(NAMES)})")
    if not PLAYER.is_file():
        give_up("the packages of tests/js are not installed (npm ci)")


def put_pages(server: PageServer, playlist: str) -> None:
    """The example as it is, but for the playlist's address and a script that watches."""
    page = PAGE.read_text()
    watched = f'{LOADS_PLAYER}<script src="watch.js"></script>'
    for given, wanted in ((PLAYLIST_OF_PAGE, playlist), (LOADS_PLAYER, watched)):
        assert page.count(given) == 1
        page = page.replace(given, wanted)
    server.pages["/play.html"] = "text/html", page.encode()
    server.pages["/hls.min.js"] = "text/javascript", PLAYER.read_bytes()
    server.pages["/watch.js"] = "text/javascript", (FOLDER / "watch_player.js").read_bytes()


def expect_played(seen: dict[str, Any], stream: Stream) -> None:
    """From a late place to the end, and then all of it; what hls.js got is all that was published."""
    # Sixteen times as fast as usual, a player stalls now and then: those errors are not fatal.
    assert not [error for error in seen["errors"] if not isinstance(error, dict) or error["fatal"]], seen
    assert [play["start"] > stream.seconds - 10 for play in seen["plays"]] == [True, False], seen
    for play in seen["plays"]:
        assert play["duration"] == pytest.approx(stream.seconds, abs=1)
        assert play["stop"] == pytest.approx(play["duration"], abs=0.5)
        assert (play["width"], play["height"]) == (320, 180)
    late, whole = (play["frames"] for play in seen["plays"])
    assert 0 < late < whole
    for part in seen["parts"]:
        start, stop = part["range"] or (0, None)
        published = (stream.folder / part["name"]).read_bytes()[start:stop]
        assert (part["size"], part["sha256"]) == (len(published), sha256(published).hexdigest()), part
    # A part that hls.js takes out of order it may load again, when what comes before it is there.
    sizes = {(part["name"], *part["range"]): part["size"] for part in seen["parts"]}
    files = [path for path in stream.folder.iterdir() if path.is_file() and path.suffix != ".m3u8"]
    assert {name for name, *_ in sizes} == {path.name for path in files}
    assert sum(sizes.values()) == sum(path.stat().st_size for path in files)


def count_payments(found: Town) -> int:
    return sum(cacher.status()["counts"]["payments"] for cacher in found.cachers)


def test_hls_js_plays_on_the_page_that_was_named_and_on_no_other(tmp_path: Path) -> None:
    expect_tools()
    film, ranges = Stream(tmp_path / "film", 60, 6), Stream(tmp_path / "film" / "ranges", 12, 3)
    film.make()
    ranges.make(*IN_RANGES)
    with PageServer() as server, town(tmp_path, film.folder) as found:
        wish = (*found.buying(), "--deposit", "0.002", "--page", server.origin())
        with PeerCommand(tmp_path, "play", "play", *wish, home=tmp_path / "home", rpc=found.node.url) as playing:
            put_pages(server, playing.banner["playlist"])
            # The same page by another name of the same server; it then asks in ways that need no leave to read.
            refused = visit(server, f"{server.origin('127.0.0.1')}/play.html", tmp_path)
            assert [error["details"] for error in refused["errors"]] == ["manifestLoadError"]
            assert refused["asked"] == ["fetch", "img", "video", "script"]
            assert (refused["parts"], count_payments(found)) == ([], 0)

            seen = visit(server, f"{server.origin()}/play.html", tmp_path)
            expect_played(seen, film)
            # Half a minute is loaded ahead: what is behind a seek is bought before what was skipped.
            names = [part["name"] for part in seen["parts"]]
            assert names.index("index5.ts") < names.index("index4.ts")

            put_pages(server, f"{playing.banner['url']}/ranges/index.m3u8")
            seen = visit(server, f"{server.origin()}/play.html", tmp_path)
            expect_played(seen, ranges)
            assert all(part["range"] for part in seen["parts"])
        for cacher in found.cachers:
            assert cacher.terminate() == 0
        (pool,) = found.node.call("pool_list", resourceId=found.resource)["pools"]
        chunks = found.origin.banner["chunkCount"] - 1  # the index is in the manifest
        assert int(pool["spent"], 16) == chunks * PRICE
