from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cnnsearch.data.decode import decode, to_uint8


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
