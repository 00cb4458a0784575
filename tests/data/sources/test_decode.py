import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnnsearch.data.sources.decode import decode, decode_all, to_uint8
from cnnsearch.errors import DataError
from cnnsearch.utils.hardware import count_cores


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def ramp(size: tuple[int, int]) -> Image.Image:
    x = np.linspace(0, 255, size[0])[None, :].repeat(size[1], 0)
    y = np.linspace(0, 255, size[1])[:, None].repeat(size[0], 1)
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


def test_alpha_is_composited_on_white() -> None:
    picture = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert (decode(encoded(picture, "PNG"), (8, 8), 3) == 255).all()
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert decode(encoded(half, "PNG"), (8, 8), 3)[0, 0].tolist() == [127, 127, 127]
    grey = Image.new("LA", (8, 8), (0, 0))
    assert (decode(encoded(grey, "PNG"), (8, 8), 1) == 255).all()


def test_a_transparent_palette_is_composited_too() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30] * 256)
    assert decode(encoded(picture, "PNG"), (8, 8), 3)[0, 0].tolist() == [10, 20, 30]
    assert (decode(encoded(picture, "PNG", transparency=0), (8, 8), 3) == 255).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    for level, expected in ((0, 0), (257, 1), (32_896, 128), (65_535, 255)):
        picture = Image.fromarray(np.full((8, 8), level, np.uint16))
        assert (decode(encoded(picture, "PNG"), (8, 8), 1) == expected).all()


def test_cmyk_keeps_its_colours() -> None:
    picture = Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK")
    pixel = decode(encoded(picture, "JPEG", quality=95), (8, 8), 3)[4, 4]
    assert pixel[0] > 245 and pixel[1:].max() < 10


def test_a_gif_gives_its_first_frame() -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert decode(data, (8, 8), 3)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_respected(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(ramp((24, 16)), "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    size = (upright.height, upright.width)
    assert size == ((24, 16) if orientation >= 5 else (16, 24))
    np.testing.assert_array_equal(decode(data, size, 3), np.asarray(upright))


def test_large_images_are_antialiased() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    pixels = decode(encoded(Image.fromarray(stripes), "PNG"), (8, 8), 1)
    assert np.abs(pixels.astype(int) - 128).max() <= 8  # 0 or 255 if it were not


def test_reducing_a_jpeg_while_decoding_changes_little() -> None:
    data = encoded(ramp((900, 700)), "JPEG", quality=95)
    plain = Image.open(BytesIO(data)).convert("RGB").resize((32, 24), Image.Resampling.BILINEAR)
    pixels = decode(data, (24, 32), 3).astype(int)
    assert np.abs(pixels - np.asarray(plain).astype(int)).max() <= 4


def test_colour_becomes_luma_and_grey_becomes_rgb() -> None:
    red = encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG")
    assert decode(red, (8, 8), 1)[0, 0, 0] == 76
    grey = encoded(Image.new("L", (8, 8), 90), "PNG")
    assert decode(grey, (8, 8), 3)[0, 0].tolist() == [90, 90, 90]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255]),
        (np.array([[0, 7, 255]]), [0, 7, 255]),
        (np.array([[False, True]]), [0, 255]),
    ],
)
def test_arrays_become_bytes(pixels: np.ndarray, expected: list[int]) -> None:
    assert to_uint8(pixels)[0, :, 0].tolist() == expected


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_file_with_a_broken_exif_block_is_still_an_image() -> None:
    data = encoded(ramp((20, 20)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data, (20, 20), 3).shape == (20, 20, 3)


def test_threads_decode_in_the_order_given() -> None:
    rng = np.random.default_rng(0)

    def item(level: int) -> Callable[[], bytes]:
        def read() -> bytes:
            time.sleep(float(rng.random()) / 500)
            return encoded(Image.new("L", (8, 8), level), "PNG")

        return read

    levels = [i % 256 for i in range(300)]
    found = list(decode_all(map(item, levels), (4, 4), 1))
    assert [int(one.pixels[0, 0, 0]) for one in found if one.pixels is not None] == levels


def test_what_cannot_be_read_keeps_its_place_among_threads() -> None:
    good = encoded(Image.new("L", (8, 8), 90), "PNG")
    data = [good[:30] if i in (3, 77, 199) else b"" if i == 100 else good for i in range(200)]
    found = list(decode_all((partial(bytes, one) for one in data), (4, 4), 1))
    assert [i for i, one in enumerate(found) if one.pixels is None] == [3, 77, 100, 199]
    assert found[100].reason == "empty file"


def test_an_error_that_is_no_images_fault_ends_all_threads() -> None:
    def gone() -> bytes:
        raise DataError("the archive is gone")

    good = partial(bytes, encoded(Image.new("L", (8, 8), 90), "PNG"))
    with pytest.raises(DataError, match="archive is gone"):
        list(decode_all(iter([good] * 50 + [gone] + [good] * 500), (4, 4), 1))
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def test_few_images_are_in_memory_at_once() -> None:
    asked = 0

    def items() -> Iterator[Callable[[], bytes]]:
        nonlocal asked
        good = encoded(Image.new("L", (8, 8), 90), "PNG")
        for _ in range(5000):
            asked += 1
            yield partial(bytes, good)

    decoded = decode_all(items(), (4, 4), 1)
    next(decoded)
    assert asked <= 16 * (2 * count_cores() + 2)
    decoded.close()  # type: ignore[attr-defined]
