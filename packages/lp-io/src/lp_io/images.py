"""Images as uint8 RGB, resized as video frames are."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from lp_core import DataError, Size
from PIL import Image, UnidentifiedImageError


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; put the image there or take its row out of the labels.") from None
    except (UnidentifiedImageError, OSError) as e:
        raise DataError(
            f"{path} cannot be read as an image; replace the file or take its row out of the labels."
        ) from e


def image_size(path: Path | str) -> Size:
    """(height, width) in pixels, from the header alone."""
    with _open(Path(path)) as image:
        return image.height, image.width


def read_image(path: Path | str, size: Size | None = None) -> UInt8[np.ndarray, "height width 3"]:
    """An image as RGB, stretched to `size` (height, width) if given.

    Resized with a triangle filter that widens as the image shrinks, centres aligned as `lp_core.Resize` says: the same
    filter as `VideoReader`'s. Sixteen-bit images are scaled to eight; transparency is dropped.

    Raises:
        DataError: missing or not an image.
    """
    with _open(Path(path)) as image:
        try:
            image.load()
        except (OSError, SyntaxError) as e:
            raise DataError(f"{path} is damaged; replace the file or take its row out of the labels.") from e
        rgb = _eight_bit(image).convert("RGB")
    if size is not None and size != (rgb.height, rgb.width):
        rgb = rgb.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(rgb)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image, dtype=np.int64)
        return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8))
    return image
