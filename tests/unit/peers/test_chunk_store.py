"""Chunks on disk: only what verifies counts, after any crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from peers.chunk_store import ChunkMissing, ChunkStore, OriginFiles, cut_path
from peers.manifest import BadManifest, Manifest

CHUNK = 100


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(os.urandom(10 * CHUNK - 30))
    return path


@pytest.fixture
def hls(tmp_path: Path) -> Path:
    root = tmp_path / "hls"
    (root / "low").mkdir(parents=True)
    for name, size in (("index.m3u8", 40), ("low/1.ts", 250), ("low/2.ts", 0), ("low/3.ts", 200), (".hidden", 5)):
        (root / name).write_bytes(os.urandom(size))
    (root / "link").symlink_to("/etc/hostname")
    return root


def cut(path: Path) -> Manifest:
    return cut_path(path, chunk_bytes=CHUNK, price_per_chunk=1)


def filled(folder: Path, source: OriginFiles) -> ChunkStore:
    store = ChunkStore(folder, source.manifest)
    for index in range(source.manifest.chunk_count):
        store.put(index, source.read(index))
    return store


def test_a_file_goes_through_a_store_unchanged(tmp_path: Path, film: Path) -> None:
    with filled(tmp_path / "s", OriginFiles(film, cut(film))) as store:
        store.export(tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == film.read_bytes()


def test_a_folder_goes_through_a_store_without_links_and_hidden_files(tmp_path: Path, hls: Path) -> None:
    with filled(tmp_path / "s", OriginFiles(hls, cut(hls))) as store:
        store.export(tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"index.m3u8", "low/1.ts", "low/2.ts", "low/3.ts"}
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (hls / name).read_bytes()


def test_what_is_here_is_here_after_opening_again(tmp_path: Path, film: Path) -> None:
    source = OriginFiles(film, cut(film))
    with ChunkStore(tmp_path / "s", source.manifest) as store:
        for index in (0, 3, 9):
            store.put(index, source.read(index))
    with ChunkStore.open(tmp_path / "s") as store:
        assert store.count() == 3
        assert [*store.missing()] == [1, 2, 4, 5, 6, 7, 8]
        assert [*store.missing(2, 5)] == [2, 4]
        assert store.read(9) == source.read(9)


def test_a_chunk_whose_bytes_were_lost_is_missing_again(tmp_path: Path, film: Path) -> None:
    filled(tmp_path / "s", OriginFiles(film, cut(film))).close()
    with (tmp_path / "s" / "data").open("r+b") as file:
        file.seek(5 * CHUNK + 7)
        file.write(b"\0\0\0\0\0\0\0\0")
        file.truncate(9 * CHUNK)
    with ChunkStore.open(tmp_path / "s") as store:
        assert store.check() == 8
        assert [*store.missing()] == [5, 9]
    with ChunkStore.open(tmp_path / "s") as store:
        assert store.count() == 8


def test_a_bitmap_that_was_lost_costs_only_its_chunks(tmp_path: Path, film: Path) -> None:
    filled(tmp_path / "s", OriginFiles(film, cut(film))).close()
    (tmp_path / "s" / "have").write_bytes(b"")
    with ChunkStore.open(tmp_path / "s") as store:
        assert store.count() == 0


def test_the_folder_of_another_resource_is_refused(tmp_path: Path, film: Path, hls: Path) -> None:
    ChunkStore(tmp_path / "s", cut(film)).close()
    with pytest.raises(BadManifest, match="another resource"):
        ChunkStore(tmp_path / "s", cut(hls))


def test_the_origin_notices_that_a_file_was_changed(film: Path) -> None:
    source = OriginFiles(film, cut(film))
    data = film.read_bytes()
    film.write_bytes(data[:500] + b"X" + data[501:])
    assert source.read(4) == data[400:500]
    with pytest.raises(ChunkMissing, match="changed"):
        source.read(5)
    film.unlink()
    with pytest.raises(ChunkMissing, match="changed"):
        source.read(4)
    for index in (-1, 10):
        with pytest.raises(ChunkMissing):
            source.read(index)


def test_an_index_needs_no_fetching(tmp_path: Path, hls: Path) -> None:
    with ChunkStore(tmp_path / "s", cut(hls)) as store:
        assert store.has(0)
        assert store.read(0) == store.manifest.index()


def test_files_that_are_not_there_or_of_another_size_are_not_whole(film: Path, hls: Path) -> None:
    for source in (film, hls):
        files = OriginFiles(source, cut(source))
        assert files.are_whole()
        changed = source if source.is_file() else source / "low/2.ts"
        whole = changed.read_bytes()
        changed.write_bytes(whole + b"x")
        assert not files.are_whole()
        changed.unlink()
        assert not files.are_whole()
        os.mkfifo(changed)
        assert not files.are_whole()


def test_where_nothing_can_be_written_is_known_before_anything_is_bought(tmp_path: Path, film: Path, hls: Path) -> None:
    with ChunkStore(tmp_path / "s", cut(film)) as store:
        store.expect_place(tmp_path / "new.bin")
        store.expect_place(film)
        store.expect_place(tmp_path / "new folder" / "new.bin")
        os.mkfifo(tmp_path / "pipe")
        for place in (hls, tmp_path / "pipe", Path("/dev/null")):
            with pytest.raises(FileExistsError):
                store.expect_place(place)
    with ChunkStore(tmp_path / "t", cut(hls)) as store:
        store.expect_place(tmp_path / "new folder")
        store.expect_place(hls)
        with pytest.raises(NotADirectoryError):
            store.expect_place(film)
        (tmp_path / "other" / "low" / "1.ts").mkdir(parents=True)
        with pytest.raises(FileExistsError):
            store.expect_place(tmp_path / "other")
    assert not (tmp_path / "new folder").exists()


def test_a_folder_without_rights_is_known_too(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path)
    with ChunkStore(tmp_path / "s", cut(film)) as store, pytest.raises(PermissionError):
        store.expect_place(tmp_path / "new folder" / "new.bin")


def test_names_that_are_as_long_as_they_may_be_are_written(tmp_path: Path) -> None:
    root = tmp_path / "source"
    root.mkdir()
    (root / ("n" * 255)).write_bytes(b"long")
    (root / "a").write_bytes(b"short")
    manifest = cut(root)
    with filled(tmp_path / "s", OriginFiles(root, manifest)) as store:
        store.export(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "n" * 255: b"long",
        "a": b"short",
    }
