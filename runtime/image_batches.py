"""Rows whose text is the path of an image, as tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import FieldError, MissingExtraError, MissingFileError
from .batches import Batcher, Encoded
from .data import Row

PLAIN = (0.5, 0.5, 0.5)
"""Mean and deviation of a channel where a checkpoint does not say."""


class ImageBatcher(Batcher):
    """Reads an image when it is its turn, resizes it to the model's size (bicubic, both sides), and
    normalises each channel by the checkpoint's preprocessor_config.json.

    Raises MissingFileError, FieldError for what is no image, MissingExtraError without pillow.
    """

    def __init__(self, checkpoint: Path, config: Any, folder: Path) -> None:
        size = config.image_size
        self.height, self.width = size if isinstance(size, list | tuple) else (size, size)
        self.folder, self.length = folder, None
        file = checkpoint / "preprocessor_config.json"
        said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self.mean_C = np.array(said.get("image_mean", PLAIN), dtype=np.float32)
        self.deviation_C = np.array(said.get("image_std", PLAIN), dtype=np.float32)

    def preprocessor(self) -> dict[str, Any]:
        """The same, as a preprocessor_config.json for transformers."""
        return {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": self.height, "width": self.width},
            "resample": 3,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": self.mean_C.tolist(),
            "image_std": self.deviation_C.tolist(),
        }

    def encode(self, rows: tuple[Row, ...], classes: tuple[str, ...]) -> Encoded:
        index = {label: number for number, label in enumerate(classes)}
        paths = [self.folder / row.text for row in rows]
        for path in paths:
            if not path.is_file():
                raise MissingFileError(path, "the column image holds paths beside the data file")
        return Encoded(
            ids=tuple([str(path)] for path in paths),
            labels=tuple(index[row.label] for row in rows),
        )

    def inputs(self, ids: list[list[Any]]) -> dict[str, Tensor]:
        return {"pixel_values": torch.stack([self._pixels(path) for (path,) in ids])}

    def _pixels(self, path: str) -> Tensor:
        """[C, height, width]."""
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError:
            raise MissingExtraError("reading images", "images") from None
        try:
            with Image.open(path) as image:
                resized = image.convert("RGB").resize(
                    (self.width, self.height), Image.Resampling.BICUBIC
                )
        except (UnidentifiedImageError, OSError) as error:
            raise FieldError(f"{path}: not an image that can be read: {error}") from error
        pixels_HWC = np.asarray(resized, dtype=np.float32) / 255
        normalised_HWC = (pixels_HWC - self.mean_C) / self.deviation_C
        return torch.from_numpy(normalised_HWC).permute(2, 0, 1).contiguous()
