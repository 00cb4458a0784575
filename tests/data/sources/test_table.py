import csv
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import Dataset, load
from cnnsearch.errors import DataError


def open_table(path: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (16, 16), "channels": None} | options
    settings.setdefault("cache", path.parent / "cache")
    return load(str(path), **settings)  # type: ignore[arg-type]


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        open_table(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def entries(photos: Path) -> list[dict[str, str]]:
    return [
        {"path": path.relative_to(photos.parent).as_posix(), "label": path.parent.name}
        for path in sorted(photos.rglob("*.jpg"))
    ]


def write(
    path: Path, rows: list[dict[str, str]], encoding: str = "utf-8", **options: object
) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, rows[0], **options)  # type: ignore[arg-type]
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    importlib.import_module("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_a_csv_is_read_as_its_folder_is(photos: Path) -> None:
    table = write(photos.parent / "labels.csv", entries(photos))
    data = open_table(table)
    assert data.class_names == ("box", "disc 2", "disc 10") and data.source == str(table)
    assert (data.train.count, data.validation.count, data.test.count) == (15, 6, 3)
    assert not data.test.materialised
    pixels = {image.tobytes() for image in open_table(photos, test=0.0).train.images()}
    pixels |= {image.tobytes() for image in open_table(photos, test=0.0).validation.images()}
    for split in (data.train, data.validation, data.test):
        assert {image.tobytes() for image in split.images()} <= pixels
    assert open_table(table) == data


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "header", [("filename", "class"), ("Image", "Label"), ("FILE", "category")]
)
def test_delimiters_quotes_and_a_byte_order_mark(
    photos: Path, delimiter: str, header: tuple[str, str]
) -> None:
    rows = [
        {"id": f'a "quoted" {delimiter}\nvalue', header[0]: row["path"], header[1]: row["label"]}
        for row in entries(photos)
    ]
    table = write(photos.parent / "l.csv", rows, "utf-8-sig", delimiter=delimiter, quoting=1)
    assert open_table(table).class_names == ("box", "disc 2", "disc 10")


def test_splits_of_a_csv(photos: Path) -> None:
    names = {"0": "test", "1": "Validation", "2": "val", "3": "testing"}
    rows = [row | {"split": names.get(Path(row["path"]).stem, "train")} for row in entries(photos)]
    data = open_table(write(photos.parent / "labels.csv", rows))
    assert (data.train.count, data.validation.count, data.test.count) == (12, 6, 6)
    assert len(data.test.images()) == len(data.test.labels()) == 6
    only = [row for row in rows if row["split"] not in ("Validation", "val")]
    data = open_table(write(photos.parent / "labels.csv", only))
    assert (data.train.count, data.validation.count, data.test.count) == (9, 3, 6)


def test_absolute_paths(photos: Path, tmp_path: Path) -> None:
    rows = [{**row, "path": str(photos.parent / row["path"])} for row in entries(photos)]
    (tmp_path / "elsewhere").mkdir()
    data = open_table(write(tmp_path / "elsewhere" / "labels.csv", rows))
    assert data.train.count == 15 and len(data.test.images()) == 3


def test_parquet(photos: Path) -> None:
    rows: list[dict[str, object]] = [
        {"n": i, "image_path": row["path"], "label": i % 2, "split": ("train", "test")[i % 3 == 0]}
        for i, row in enumerate(entries(photos))
    ]
    data = open_table(write_parquet(photos.parent / "labels.parquet", rows))
    assert data.class_names == ("0", "1") and not data.flip
    assert (data.train.count, data.validation.count, data.test.count) == (13, 3, 8)
    assert len(data.test.images()) == 8


def test_a_table_that_changes_and_an_image_that_does(photos: Path) -> None:
    table = write(photos.parent / "labels.csv", entries(photos))
    data = open_table(table)
    other = open_table(write(table, entries(photos)[1:]))
    assert other.fingerprint != data.fingerprint
    for path in photos.rglob("*.jpg"):
        os.utime(path, (1, 1))
    with pytest.raises(DataError, match="changed since the data set was loaded"):
        data.test.images()


def test_missing_and_unreadable_files(photos: Path, spoil: Callable[[], tuple[str, str]]) -> None:
    bad = [f"photos/{name}" for name in spoil()]
    rows = [*entries(photos), {"path": "photos/gone.jpg", "label": "box"}]
    table = write(photos.parent / "labels.csv", rows)
    message = refusal(table, test=0.0)
    assert message.startswith("3 of 27 images cannot be read")
    assert "photos/gone.jpg (no such file or directory)" in message
    data = open_table(table, test=0.0, skip_bad_images=True)
    skipped = {entry.split(" (")[0] for entry in data.skipped}
    assert skipped == {*bad, "photos/gone.jpg"}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "is empty; it needs a header, such as path,label"),
        ("\n\n", "is empty; it needs a header"),
        ("path,label\n", "no rows below the header"),
        ("path\na.jpg\n", "no column 'label' (or class, class_name, category) in its header"),
        ("a.jpg,box\nb.jpg,disc\n", "no column 'path'"),
        ("path,label\na.jpg,\n", "line 2: the label is empty"),
        ("path,label\na.jpg,x\n\n  ,y\n", "line 4: the path is empty"),
        ("path,label\na.jpg\n", "line 2: 1 values, the header has 2"),
        ("path,label\na.jpg,b,c\n", "line 2: 3 values, the header has 2"),
        ("path,label\na.jpg,x\n./a.jpg,y\n", "line 3: 'a.jpg' is listed before, in line 2"),
        ("path,label,class\na.jpg,x,y\n", "has 'label' and 'class'; keep one column for the label"),
        ('path,label\n"a.jpg,x\n', "line 2: unexpected end of data"),
        ("path,label,split\na.jpg,x,learn\n", "line 2: the split must be train, validation or"),
        ("path,label,split\na.jpg,x,\n", "line 2: the split must be train, validation or test"),
        ("path,label,split\na.jpg,x,test\n", "no row is of the split 'train'"),
        (
            "path,label,split\na.jpg,x,train\nb.jpg,y,train\nc.jpg,z,test\n",
            "line 4: class 'z' of the test split has no training image",
        ),
        ("path,label\na.jpg,0.53\nb.jpg,1\n", "such as 0.53 and 1: regression is not supported"),
        (
            "path,label\n" + "".join(f"{i}.jpg,{i}\n" for i in range(60)),
            "the labels are numbers, such as 0 and 1: regression is not supported",
        ),
        ("path,label\na.jpg,0\nb.jpg,1\n", "none of its 2 files exists"),
        ("path,label\na.jpg,x\nb.jpg,y\n", "none of its 2 files exists, such as /"),
    ],
)
def test_malformed_csv(content: str, rule: str, tmp_path: Path) -> None:
    assert rule in refusal(text(tmp_path / "labels.csv", content))


def test_one_class(photos: Path) -> None:
    rows = [row | {"label": "same"} for row in entries(photos)]
    assert "at least two classes are needed, found 1, 'same'" in refusal(
        write(photos.parent / "labels.csv", rows)
    )


def test_tables_that_are_none(tmp_path: Path, photos: Path) -> None:
    assert "labels.csv' does not exist" in refusal(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes("path,label\nä.jpg,ö\n".encode("latin-1"))
    assert "labels.csv: is not UTF-8 text" in refusal(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes((photos / "box" / "1.jpg").read_bytes())
    assert "labels.csv: is not UTF-8 text" in refusal(tmp_path / "labels.csv")


def test_malformed_parquet(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    path.write_bytes(b"PAR1 no table")
    assert "is not a readable Parquet file" in refusal(path)
    assert "no column 'label'" in refusal(write_parquet(path, [{"path": "a.jpg"}]))
    rows: list[dict[str, object]] = [{"path": "a.jpg", "label": 1}, {"path": "b", "label": None}]
    assert "row 2: the label is empty" in refusal(write_parquet(path, rows))
    rows = [{"image": {"bytes": b"x"}, "label": 1.0}]
    assert "row 1: the path must be text, got dict" in refusal(write_parquet(path, rows))
    rows = [{"path": "a.jpg", "label": float("nan")}]
    assert "row 1: the label is empty" in refusal(write_parquet(path, rows))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.parquet"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "pyarrow is not installed (pip install pyarrow)" in refusal(path)


def test_a_csv_imports_no_library_for_tables(photos: Path) -> None:
    table = write(photos.parent / "labels.csv", entries(photos))
    program = (
        "import sys; from pathlib import Path; from cnnsearch.data import load; "
        f"load({str(table)!r}, image=(8, 8), channels=None, cache=Path({str(table)!r} + '-c')); "
        "print([m for m in ('pyarrow', 'pandas', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_labels_follow_their_images(photos: Path) -> None:
    rows = entries(photos)
    data = open_table(write(photos.parent / "labels.csv", rows[::-1]), test=0.0)
    again = open_table(write(photos.parent / "labels.csv", rows), test=0.0)
    assert again.fingerprint == data.fingerprint
    np.testing.assert_array_equal(again.train.labels(), data.train.labels())
