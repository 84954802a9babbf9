"""Pictures in and out: upload bytes to arrays and back, contact sheets, PNG, GIF and WebP."""

from __future__ import annotations

import io
import math
import struct

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

from explorer import align, ink
from explorer.errors import ImageError
from explorer.spec import DataSpec

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAX_BYTES = 16 * 2**20
MAX_PIXELS = 50_000_000
MAX_ASPECT = 10
OUTLINE = (240, 137, 79)  # the theme's orange, seen on dark and light
LONGEST = 2048  # what is kept of a larger picture: ample for a crop, little for memory

# What people bring by mistake, by its first bytes: the name and the way out.
OTHERS = {
    b"%PDF": "a PDF. Save the page as PNG or take a screenshot of it",
    b"PK\x03\x04": "a zip archive. Unpack it and choose a picture from it",
    b"<svg": "an SVG drawing, which has no pixels. Save it as PNG",
    b"<": "a web page or XML, not a picture. Open it and save the picture itself",
}

# What Pillow raises on damaged files, found by feeding it damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error)


# --- upload bytes to a picture ---------------------------------------------------------------


def read(raw: bytes) -> Image.Image:
    """An upright, opaque picture, mode L or RGB, longer side at most ``LONGEST``."""
    _check_bytes(raw)

    try:
        image = Image.open(io.BytesIO(raw), formats=FORMATS)
        _check_size(*image.size)
        # A JPEG shrinks while it is decoded, by 2, 4 or 8; other formats ignore this.
        image.draft(None, (LONGEST // 2, LONGEST // 2))
        image.load()
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large("hundreds of millions of")) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            "This file is not a picture that can be read here, or its beginning is damaged. "
            "Save it as PNG or JPEG and choose that file."
        ) from error
    except DAMAGE as error:
        raise ImageError(
            "This picture is damaged or cut short: it cannot be read to its end. "
            "Download or export it again and choose the new file."
        ) from error

    return _flat(_shrunk(_eight_bit(_turned(image)), LONGEST))


def _check_bytes(raw: bytes) -> None:
    """Refuse, in words, what is seen to be no picture before any decoder touches it."""
    if not raw:
        raise ImageError("This file is empty (0 bytes). Save the picture again and choose it.")
    if len(raw) > MAX_BYTES:
        raise ImageError(
            f"This file has {len(raw) / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB are read. "
            "Save it smaller, or as JPEG."
        )

    if raw[4:8] == b"ftyp":
        raise ImageError("This is a HEIC or AVIF photo, or a video. Export the picture as JPEG.")
    start = raw[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, words in OTHERS.items():
        found = start.startswith(magic.lower())
        if found or (magic == b"<svg" and start.startswith(b"<") and magic in start):
            raise ImageError(f"This file is {words}.")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(f"{width} x {height}"))
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"This picture is a strip of {width} x {height} pixels; one side may be at most "
            f"{MAX_ASPECT} times the other. Cut out the part you want and choose that."
        )


def _too_large(size: str) -> str:
    return (
        f"This picture has {size} pixels; at most {MAX_PIXELS // 10**6} million are read. "
        "Save it smaller: 2000 pixels on a side are plenty."
    )


def _turned(image: Image.Image) -> Image.Image:
    """The picture as its camera was held; a picture whose EXIF is damaged stays as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE:
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """The same picture in mode L, RGB, LA or RGBA."""
    if image.mode.startswith(("I", "F")):
        return _eight_bit_grey(image)
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """Mode L from 16 or 32 bits or floats: the scale is the file's, else that of its values."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())

    scales = {"I;16": (65535.0,), "F": (1.0, 255.0, 65535.0)}
    tops = scales.get(image.mode[:4], (255.0, 65535.0))
    top = next((top for top in tops if high <= top), None)
    if top is None or low < 0:
        values, top = values - low, max(high - low, 1e-12)
    return Image.fromarray((values * (255 / top)).round().astype(np.uint8))


def _shrunk(image: Image.Image, longest: int) -> Image.Image:
    if max(image.size) <= longest:
        return image
    smaller = image.copy()
    smaller.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2)
    return smaller


def _flat(image: Image.Image) -> Image.Image:
    """Mode L or RGB: transparency laid on white, or on black where all that is seen is light."""
    if image.mode in ("L", "RGB"):
        return image

    alpha = image.getchannel("A")
    seen = alpha.point([0] * 128 + [255] * 128)
    light = seen.getbbox() is not None and ImageStat.Stat(image.convert("L"), seen).mean[0] > 200
    opaque = image.convert(image.mode[:-1])
    ground = Image.new(opaque.mode, opaque.size, "black" if light else "white")
    ground.paste(opaque, mask=alpha)
    return ground


# --- a picture to what the model knows -------------------------------------------------------


def from_ink(mask: NDArray[np.bool_]) -> Image.Image:
    """White ink on black from a drawing pad's ``mask: (h, w)``, twice its size, edges smooth."""
    height, width = mask.shape
    drawn = Image.fromarray(mask.astype(np.uint8) * 255)
    return drawn.resize((2 * width, 2 * height), Image.Resampling.BICUBIC)


def prepare(
    image: Image.Image,
    data: DataSpec,
    *,
    box: Box | None = None,
    points: align.Points | None = None,
    invert: bool | None = None,
) -> Values:
    """``(1, C, H, W)`` in [0, 1]: the picture as the model's own data were made.

    Args:
        box: the part to take; the largest centred one of the data's proportions if None.
        points: two points of the picture, such as its eyes, and so how it is turned and cut.
        invert: swap black and white; if None, found from the border where the data are
            white things on black.
    """
    size = (data.width, data.height)
    image = image.convert("L" if data.channels == 1 else "RGB")
    if box is not None:
        image = _cut(image, box)
    if points is not None:
        image = align.framed(image, points, data)
    if invert or (invert is None and _on_black(data) and ink.is_dark(image)):
        image = ImageChops.invert(image)

    # A picture of the model's own size is one of its data, framed already.
    if _on_black(data) and image.size != size:
        drawn = ink.lifted(_shrunk(image, LONGEST // 2))
        if _handwritten(data) and drawn.any():
            return _values(ink.centred(drawn, data))
        image = ink.picture(drawn) if drawn.any() else image
    return _values(ImageOps.fit(image, size, Image.Resampling.LANCZOS))


def centre_box(size: tuple[int, int], data: DataSpec) -> Box:
    """The largest centred box of the data's proportions in a picture of ``size`` (w, h)."""
    scale = min(size[0] / data.width, size[1] / data.height)
    left, top = (size[0] - scale * data.width) / 2, (size[1] - scale * data.height) / 2
    return left, top, size[0] - left, size[1] - top


def _cut(image: Image.Image, box: Box) -> Image.Image:
    """The part of the picture inside the box, whole pixels."""
    left, top = (max(0, round(edge)) for edge in box[:2])
    right, bottom = min(image.width, round(box[2])), min(image.height, round(box[3]))
    if right <= left or bottom <= top:
        raise ImageError("The crop holds nothing of the picture. Draw it over the picture.")
    return image.crop((left, top, right, bottom))


def _handwritten(data: DataSpec) -> bool:
    """Whether the data are single characters, to be framed by their ink."""
    names = data.name.lower()
    by_name = "digit" in names or ("mnist" in names and "fashion" not in names)
    return data.pixelated and (all(len(c) == 1 for c in data.classes) if data.classes else by_name)


def _on_black(data: DataSpec) -> bool:
    """Whether the data show something white on black."""
    return _handwritten(data) or (
        data.pixelated and any(word in data.name.lower() for word in ("mnist", "fashion"))
    )


def _values(image: Image.Image) -> Values:
    """``(1, C, H, W)`` in [0, 1]."""
    pixels = np.asarray(image, np.float32) / np.float32(255)
    channels_first = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return np.ascontiguousarray(channels_first)[None]


# --- pixels to what a person sees or takes home ----------------------------------------------


def to_pixels(x: ArrayLike) -> Pixels:
    """``(..., H, W, C)`` uint8 of ``x: (..., C, H, W)`` in [0, 1], also of a tensor on the CPU."""
    scaled = np.nan_to_num(np.asarray(x, np.float32)).clip(0, 1) * 255
    return np.ascontiguousarray(np.moveaxis(scaled.round().astype(np.uint8), -3, -1))


def sheet(pixels: Pixels, columns: int, gap: int = 0) -> Pixels:
    """``(H', W', C)``: ``pixels: (n, H, W, C)`` row by row, mid-grey between and after them."""
    n, height, width, channels = pixels.shape
    rows = math.ceil(n / columns)

    cells = np.full((rows * columns, height + gap, width + gap, channels), 128, np.uint8)
    cells[:n, :height, :width] = pixels
    grid = cells.reshape(rows, columns, height + gap, width + gap, channels).swapaxes(1, 2)
    whole = grid.reshape(rows * (height + gap), columns * (width + gap), channels)
    return whole[: whole.shape[0] - gap, : whole.shape[1] - gap]


def enlarge(pixels: Pixels, side: int, pixelated: bool) -> Pixels:
    """``(..., sH, sW, C)``: ``s`` times larger, so that the shorter side is at least ``side``."""
    *batch, height, width, channels = pixels.shape
    times = max(1, math.ceil(side / min(height, width)))
    if pixelated:
        return pixels.repeat(times, -3).repeat(times, -2)

    size = (times * width, times * height)
    flat = pixels.reshape(-1, height, width, channels)
    large = [np.asarray(_picture(one).resize(size, Image.Resampling.BICUBIC)) for one in flat]
    return np.stack(large).reshape(*batch, size[1], size[0], channels)


def framed(pixels: Pixels, box: Box) -> Pixels:
    """``(H, W, 3)``: ``pixels: (H, W, C)`` with the outline of ``box``; what of it lies outside is
    drawn on the edge."""
    image = _picture(pixels).convert("RGB")
    far = (image.width - 1, image.height - 1) * 2
    inside = [min(max(0.0, place), last) for place, last in zip(box, far, strict=True)]
    ImageDraw.Draw(image).rectangle(inside, outline=OUTLINE, width=max(2, image.height // 140))
    return np.asarray(image)


def png(pixels: Pixels) -> bytes:
    """A PNG file of ``pixels: (H, W, C)``."""
    # Level 1: a sheet of 1920x1920 takes a fifth of the default's time.
    return _file(_picture(pixels), "PNG", compress_level=1)


def jpeg(pixels: Pixels) -> bytes:
    """A JPEG file of ``pixels: (H, W, C)``, a tenth of a PNG of photographs."""
    return _file(_picture(pixels), "JPEG", quality=90)


def gif(frames: Pixels, milliseconds: int, loop: bool = True, pingpong: bool = False) -> bytes:
    """A GIF file of ``frames: (n, H, W, C)``, each shown so long, to ten milliseconds."""
    # Browsers play anything under 20 ms at 100.
    duration = max(20, round(milliseconds, -1))
    again = {"loop": 0} if loop else {}
    pictures = _in_256_colours(_there_and_back(frames, pingpong))
    return _animation(pictures, "GIF", duration=duration, disposal=1, **again)


def webp(frames: Pixels, milliseconds: int, loop: bool = True, pingpong: bool = False) -> bytes:
    """A WebP animation of ``frames: (n, H, W, C)``, each shown so long; exact where grey."""
    pictures = [_picture(frame) for frame in _there_and_back(frames, pingpong)]
    lossless = frames.shape[-1] == 1
    options = {"duration": milliseconds, "loop": 0 if loop else 1, "lossless": lossless}
    return _animation(pictures, "WEBP", quality=90, method=2, **options)


def _there_and_back(frames: Pixels, pingpong: bool) -> Pixels:
    """The frames, followed by the inner ones in reverse if the way back is wanted."""
    return np.concatenate([frames, frames[-2:0:-1]]) if pingpong else frames


def _picture(pixels: Pixels) -> Image.Image:
    """Mode L or RGB, of ``pixels: (H, W, C)``."""
    grey = pixels.shape[-1] == 1
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))


def _in_256_colours(frames: Pixels) -> list[Image.Image]:
    """Modes L or P: one palette for all frames and no dithering, so that nothing flickers."""
    pictures = [_picture(frame) for frame in frames]
    if frames.shape[-1] == 1:
        return pictures
    # Some eight frames and one pixel in sixteen know the colours: 0.1 s for 31 frames, not 1.2.
    known = frames[:: math.ceil(len(frames) / 8), ::4, ::4].reshape(1, -1, 3)
    palette = _picture(known).quantize(256)
    return [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]


def _animation(pictures: list[Image.Image], kind: str, **options: object) -> bytes:
    return _file(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)


def _file(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
