"""How far a sliding window gets: the arithmetic of kernels, strides and padding."""

from cnnsearch.blocks.ops import Kernel, Padding, Shape, Style
from cnnsearch.errors import ArchitectureError


def get_sides(kernel: Kernel) -> tuple[int, int]:
    """Height and width of a kernel given as one number or two."""
    return (kernel, kernel) if isinstance(kernel, int) else kernel


def slide_window(
    x: Shape, kernel: tuple[int, int], stride: int, padding: Padding, dilation: int = 1
) -> tuple[int, int]:
    """Height and width after sliding a window.

    Raises:
        ArchitectureError: nothing is left, or the stride is larger than the map.
    """
    if stride > max(x.h, x.w):
        raise ArchitectureError(f"stride {stride} on a {x.h}x{x.w} map shrinks it below 1x1")
    pads = (padding, padding) if isinstance(padding, str | int) else padding
    h = _positions(x.h, (kernel[0] - 1) * dilation + 1, stride, pads[0])
    w = _positions(x.w, (kernel[1] - 1) * dilation + 1, stride, pads[1])
    if h < 1 or w < 1:
        raise ArchitectureError(
            f"a window of {kernel[0]}x{kernel[1]} on a map of shape {x} shrinks it below 1x1"
        )
    return h, w


def _positions(size: int, reach: int, stride: int, padding: str | int) -> int:
    if padding in ("same", "zeros"):
        return -(-size // stride)
    if padding == "valid":
        return (size - reach) // stride + 1
    if padding == "ceil":
        return -(-(size - reach) // stride) + 1
    return (size + 2 * int(padding) - reach) // stride + 1


def compute_pads(
    x: Shape, kernel: tuple[int, int], stride: int, padding: Padding, dilation: int = 1
) -> list[int]:
    """Returns the padding: top, left, bottom, right."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if not isinstance(padding, str):
        rows, columns = get_sides(padding)
        return [rows, columns, rows, columns]
    reach = [(side - 1) * dilation + 1 for side in kernel]
    counts = slide_window(x, kernel, stride, padding, dilation)
    pairs = zip(counts, reach, x[:2], strict=True)
    missing = [max(0, (n - 1) * stride + r - size) for n, r, size in pairs]
    before = [0, 0] if padding == "ceil" else [m // 2 for m in missing]
    return [*before, *(m - b for m, b in zip(missing, before, strict=True))]


def is_ceil_same(x: Shape, size: int, stride: int) -> bool:
    """Whether ``ceil`` and ``same`` put a square window in the same places.

    ``same`` pads half of what is missing at the near edges, but a single row at the far one.
    """
    window = size, size
    ceil, same = (compute_pads(x, window, stride, padding) for padding in ("ceil", "same"))
    return ceil == same


def centre_padding(kernel: Kernel, stride: int) -> Padding:
    """Padding that is the same on all sides where a window strides.

    ``same`` pads a map of even size at its far edges only, which shifts it by half a position.
    """
    height, width = get_sides(kernel)
    if stride == 1 or height % 2 == 0 or width % 2 == 0:
        return "same"
    return height // 2, width // 2


def resolve_padding(style: Style, padding: Padding, kernel: Kernel, stride: int) -> Padding:
    """Returns the padding of a convolution, with the style's ``torch_padding`` applied."""
    centred = style.torch_padding and padding == "same"
    return centre_padding(kernel, stride) if centred else padding
