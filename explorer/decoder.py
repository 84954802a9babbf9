"""From latents to pixels, fast: the bundle's exported decoder, or the model itself in PyTorch.

Both are functions from ``z: (n, D)`` to uint8 ``(n, H, W, C)`` and draw the same pictures
(`train/export.py` holds one against the other). The exported one runs in ONNX Runtime on one
thread: on a processor it is faster, and there is a first picture before torch has been imported.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from . import images
from .errors import BundleError

if TYPE_CHECKING:
    from .protocol import LatentModel

Latents = NDArray[np.float32]
Pixels = NDArray[np.uint8]
LEVELS = "levels"  # where an exported decoder says theirs
CHUNK = 32  # latents decoded together: bounds the memory of convolutions


class Decoder(Protocol):
    """Attributes:
    conditional: whether ``y`` makes a difference.
    levels: names of the blocks of ``z`` of which each depends on those before; or none.
    """

    conditional: bool
    levels: tuple[str, ...]

    def __call__(self, z: Latents, y: int | None = None, seed: int | None = None) -> Pixels:
        """``(n, H, W, C)``: pictures of ``z: (n, D)``, all of class ``y`` where it has classes."""
        ...


def levels(model: LatentModel) -> tuple[str, ...]:
    """Names of the blocks of a latent of which each depends on those before; none of others."""
    from .distributions import Chain

    return tuple(b.name for b in model.blocks) if isinstance(model.prior(), Chain) else ()


class Exported:
    """A bundle's decoder.onnx; it names the weights beside it. Raises BundleError."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # one thread: so small a picture gains nothing from a second, and viewers share the machine
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own kinds of error share no base but this
            raise BundleError(
                f"{path.parent.name}: {path.name} cannot be read ({error}). Make it again with: "
                f"python -m train export {path.parent}"
            ) from None
        self.conditional = len(self._session.get_inputs()) > 1
        said = self._session.get_modelmeta().custom_metadata_map.get(LEVELS, "")
        self.levels = tuple(said.split(",")) if said else ()

    def __call__(self, z: Latents, y: int | None = None, seed: int | None = None) -> Pixels:
        parts = []
        for start in range(0, len(z), CHUNK):
            part = z[start : start + CHUNK]
            given: dict[str, NDArray] = {"z": part}
            if self.conditional:
                given["y"] = np.full(len(part), -1 if y is None else y, np.int64)
            parts.append(self._session.run(None, given)[0])
        return np.concatenate(parts)


class InTorch:
    """A model on its own device."""

    def __init__(self, model: LatentModel) -> None:
        self._model = model
        self.conditional, self.levels = model.conditional, levels(model)

    def __call__(self, z: Latents, y: int | None = None, seed: int | None = None) -> Pixels:
        import torch

        from .inference import picture
        from .rng import seeded

        # as above, and two threads that wait for each other lose
        torch.set_num_threads(1)
        device = next(self._model.parameters()).device
        parts = []
        # a seed takes the process's one generator from everybody else: only where one is given
        with torch.no_grad(), nullcontext() if seed is None else seeded(seed):
            for part in torch.from_numpy(z).split(CHUNK):
                label = None if y is None else torch.full((len(part),), y, device=device)
                parts.append(picture(self._model.decode(part.to(device), label)).cpu())
        return images.to_pixels(torch.cat(parts))
