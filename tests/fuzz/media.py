"""Images of every format, archives, tables and arrays: damaged, mislabelled, larger than life."""

import io
import os
import random
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.data import load
from cnnsearch.data.sources.decode import decode_item
from cnnsearch.errors import DataError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
NAMES = (
    "../out.png", "/etc/out.png", "C:\\out.png", "a/../../out.png", "a/x\n.png", "a/\x1b[2J.png",
    "a//b/./x.png", "a/" + "y" * 300 + ".png", "a/é\ud800.png", "", ".", "..", "a", "a/", "a/x.png",
    "a\\x.png", "[/x]/a.png", "a/" * 300 + "x.png", "\x00.png", "b/x.PNG", "__MACOSX/a/x.png",
    "../../canary", "a/x.png/y.png",
)  # fmt: skip


def picture(rng: random.Random, kind: str, size: tuple[int, int] = (9, 7)) -> bytes:
    from PIL import Image

    mode = rng.choice(("L", "RGB", "RGBA", "P", "1", "I;16", "CMYK", "LA"))
    image = Image.new(mode if mode != "I;16" else "I;16", size)
    file = io.BytesIO()
    try:
        image.save(file, kind)
    except (OSError, KeyError, ValueError):
        file = io.BytesIO()
        Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3)).save(file, kind)
    return file.getvalue()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut or repeated; the head more often than the rest."""
    found = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 4, 16))):
        end = len(found) if rng.random() < 0.5 else min(64, len(found))
        at = rng.randrange(end + 1)
        match rng.randrange(5):
            case 0:
                found[at : at + 1] = rng.randbytes(1)
            case 1:
                found[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\0\0"))
            case 2:
                del found[at : at + rng.randrange(1, 9)]
            case 3:
                found[at:at] = found[at : at + 20] * rng.choice((1, 5))
            case _:
                del found[at:]
    return bytes(found)


def huge(rng: random.Random) -> bytes:
    """An image whose header says that it is large, small as the file may be."""
    width, height = rng.choice(((30_000, 30_000), (65_535, 65_535), (2**31 - 1, 1), (9000, 9000)))
    if rng.random() < 0.5:
        body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        rows = zlib.compress(bytes(100_000))
        text = b"tEXt" + b"a\0" + b"x" * 50
        zipped = b"zTXtx\0\0" + zlib.compress(bytes(rng.choice((100, 3_000_000))))
        chunks = [b"IHDR" + body, text, zipped, b"IDAT" + rows, b"IEND"]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
        )
    if rng.random() < 0.5:
        side = struct.pack("<HH", width % 65536, height % 65536)
        return (
            b"GIF89a" + side + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + side + b"\0\x02\x02L\1\0;"
        )
    head = struct.pack("<iiHHIIiiII", width, -height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + struct.pack("<I", 40) + head + bytes(50)


class Images:
    name = "images"
    seconds = 5.0

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        if rng.random() < 0.02:
            data = huge(rng)
        elif rng.random() < 0.05:
            data = rng.randbytes(rng.choice((0, 1, 20, 2000)))
        else:
            size = rng.choice(((9, 7), (1, 1), (64, 1), (33, 40)))
            data = damaged(picture(rng, rng.choice(FORMATS), size), rng)
        return (data, rng.choice((1, 3))), ("image:",)

    def use(self, subject: Any, folder: Path) -> None:
        data, channels = subject
        found = decode_item(lambda: data, (8, 8), channels)
        if found.pixels is None:
            raise DataError(f"image: {found.reason}")
        if found.pixels.shape != (8, 8, channels) or found.pixels.dtype != np.uint8:
            raise ValueError(f"{found.pixels.shape} {found.pixels.dtype}")


def members(rng: random.Random) -> list[tuple[str, bytes]]:
    """Names and contents of a small data set, now and then of a hostile one."""
    plain = [(f"{c}/{i}.png", picture(rng, "PNG")) for c in "ab" for i in range(4)]
    for _ in range(rng.choice((0, 0, 1, 2))):
        content = rng.choice((picture(rng, "PNG"), b"", huge(rng), damaged(plain[0][1], rng)))
        plain.append((rng.choice(NAMES), content))
    return plain


def zipped(rng: random.Random) -> bytes:
    file = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", rng.choice(methods)) as archive:
        warnings.simplefilter("ignore")
        for name, content in members(rng):
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
            info.compress_type = archive.compression
            if rng.random() < 0.05:
                info.external_attr = rng.choice((0o120777, 0o020666, 0o010666)) << 16
            archive.writestr(info, content)
        if rng.random() < 0.04:
            archive.writestr("a/bomb.png", bytes(rng.choice((10**6, 3 * 10**7))),
                             zipfile.ZIP_DEFLATED)  # fmt: skip
    data = bytearray(file.getvalue())
    if rng.random() < 0.2:  # sizes, flags and methods of the central directory
        starts = [i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2"]
        at = rng.choice(starts) + rng.randrange(4, 46)
        data[at : at + 4] = rng.choice(
            (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\1")
        )
    return bytes(data)


def tarred(rng: random.Random) -> bytes:
    file = io.BytesIO()
    mode = rng.choice(("w", "w:gz", "w:bz2", "w:xz"))
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in members(rng):
            info = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
            info.size = len(content)
            if rng.random() < 0.05:
                kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE,
                         tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE,
                         tarfile.GNUTYPE_LONGNAME)  # fmt: skip
                info.type, info.linkname = rng.choice(kinds), "../../canary"
            archive.addfile(info, io.BytesIO(content))
    data = bytearray(file.getvalue())
    if mode == "w" and rng.random() < 0.5:  # a field of a header, its checksum made anew
        at = rng.randrange(len(data) // 512) * 512
        field = at + rng.choice((124, 124, 100, 156, 257, 345, 0))
        values = (b"77777777777", b"\x80" + b"\0" * 9 + b"\x10", b"\xff" * 12, b"-1", b"L", b"x")
        data[field : field + 11] = rng.choice(values).ljust(11, b"\0")
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


class Archives:
    name = "archives"
    seconds = 5.0

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        kind = rng.choice((".zip", ".tar"))
        data = zipped(rng) if kind == ".zip" else tarred(rng)
        if rng.random() < 0.5:
            data = damaged(data, rng)
        path = folder / f"fuzzed{kind}"
        path.write_bytes(data)
        return str(path), ("fuzzed", " images cannot be read: ")

    def use(self, subject: Any, folder: Path) -> None:
        loaded(subject, folder)


def loaded(source: str, folder: Path) -> None:
    """What ``cnnsearch search`` does with a data source before it trains."""
    data = load(source, image=(8, 8), channels=None, cache=folder / "cache")
    data.test.labels()


class Tables:
    name = "tables"
    seconds = 5.0

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        for index in range(8):
            (folder / f"{index}.png").write_bytes(picture(rng, "PNG"))
        (folder / "link.png").symlink_to(rng.choice(("/dev/zero", "0.png", "link.png", "/")))
        os.mkfifo(folder / "pipe.png")
        rows = [[f"{i}.png", "ab"[i % 2], "train"] for i in range(8)]
        for _ in range(rng.choice((0, 1, 2))):
            values = (*NAMES, "pipe.png", "link.png", "=1+1", "x" * 200_000, None, 3, "nan", '"')
            rng.choice(rows)[rng.randrange(3)] = rng.choice(values)  # type: ignore[call-overload]
        header = rng.choice(
            (["path", "label"], ["path", "label", "split"], ["x", "y"], ["path"] * 3)
        )
        if rng.random() < 0.6:
            return self._csv(rng, folder, header, rows), ("fuzzed", " images cannot be read: ")
        return self._parquet(rng, folder, header, rows), ("fuzzed", " images cannot be read: ")

    def use(self, subject: Any, folder: Path) -> None:
        loaded(subject, folder)

    def _csv(self, rng: random.Random, folder: Path, header: list[str], rows: Any) -> str:
        separator = rng.choice((",", ";", "\t", "|"))
        lines = [separator.join(map(str, row[: len(header)])) for row in (header, *rows)]
        data = "\n".join(lines).encode("utf-8", "surrogatepass")
        path = folder / "fuzzed.csv"
        path.write_bytes(damaged(data, rng) if rng.random() < 0.5 else data)
        return str(path)

    def _parquet(self, rng: random.Random, folder: Path, header: list[str], rows: Any) -> str:
        import pyarrow
        import pyarrow.parquet

        columns = {
            name: pyarrow.array([str(row[i]).encode("utf-8", "replace").decode() for row in rows])
            for i, name in enumerate(header)
        }
        if rng.random() < 0.2:
            columns["label"] = pyarrow.array([rng.choice(([1], {"a": 1}, None))] * len(rows))
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
        path = folder / "fuzzed.parquet"
        path.write_bytes(damaged(file.getvalue(), rng) if rng.random() < 0.6 else file.getvalue())
        return str(path)


class Arrays:
    name = "arrays"
    seconds = 5.0

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        path = folder / "fuzzed.npz"
        arrays: dict[str, Any] = {
            "x": np.zeros((12, 4, 4), rng.choice((np.uint8, np.float32, np.int64))),
            "y": np.arange(12) % 2,
        }
        if rng.random() < 0.3:
            arrays[rng.choice(("x", "y", "class_names"))] = rng.choice(
                (np.array([{"a": 1}, 2], object), np.zeros(12, "U3"), np.zeros((12, 4)),
                 np.zeros(12, "M8[s]"), np.zeros(12, [("a", "i4")]), np.array(3), np.zeros(0),
                 np.full(12, 2**63 - 1), np.asfortranarray(np.zeros((12, 4, 4))))
            )  # fmt: skip
        np.savez(path, **arrays)
        if rng.random() < 0.5:
            with zipfile.ZipFile(path) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            name = rng.choice(list(parts))
            parts[name] = self._lied(parts[name], rng)
            with (
                warnings.catch_warnings(),
                zipfile.ZipFile(path, "w", rng.choice((0, 8))) as archive,
            ):
                warnings.simplefilter("ignore")
                for name, content in parts.items():
                    archive.writestr(rng.choice((name, name, name, "../../canary")), content)
        if rng.random() < 0.3:
            path.write_bytes(damaged(path.read_bytes(), rng))
        return f"npz:{path}", ("fuzzed", " images cannot be read: ")

    def _lied(self, data: bytes, rng: random.Random) -> bytes:
        shape = rng.choice((b"(10000000000000,)", b"(-1,)", b"(12, 99999, 99999)", b"(12,)", b"()"))
        if rng.random() < 0.5:
            start, end = data.find(b"("), data.find(b")") + 1
            return data[:start] + shape + data[end:]
        kind = rng.choice((b"'|O'", b"'<U9'", b"'|V0'", b"'<f8'", b"'!'", b"('i', 3)", b"'" * 40))
        return data.replace(b"'<i8'", kind).replace(b"'|u1'", kind).replace(b"'<f4'", kind)

    def use(self, subject: Any, folder: Path) -> None:
        loaded(subject, folder)
