"""q(z | the pixels that are known): a guess at any hole in one pass (posterior matching: Strauss &
Oliva 2022, arXiv:2201.08946).

The model stays as it is; this net beside it learns to say, of a picture with a hole, what its
encoder would say of the whole one. Its head is a mixture, for behind a hole there may be several
things. It is a file of its own in a bundle, and optional: `ensemble` answers without it.
"""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily

from .cards import MASKED, Card, read_arrays, write_card
from .distributions import diag_normal
from .errors import BundleError
from .nets import conv_encoder, gaussian
from .protocol import LatentModel
from .spec import DataSpec

PARTS = 8  # of the mixture
WIDE = 192  # units before it


class MaskedEncoder(nn.Module):
    """Reads pictures with holes. ``width`` are the channels at half size."""

    def __init__(self, data: DataSpec, latent: int, width: int = 8) -> None:
        super().__init__()
        shape = (data.channels + 1, data.height, data.width)
        self.trunk = conv_encoder(shape, width, WIDE)
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(WIDE, PARTS * (2 * latent + 1)))

    def forward(self, x: Tensor, known: Tensor) -> MixtureSameFamily:
        """q(z | known), batch ``(B,)``, for ``x: (B, C, H, W)`` and ``known: (B, 1, H, W)``."""
        seen = torch.cat([torch.where(known, x, 0.5), known.to(x.dtype)], 1)
        said = self.head(self.trunk(seen)).unflatten(-1, (PARTS, -1))
        parts = diag_normal(*gaussian(said[..., 1:]))
        return MixtureSameFamily(Categorical(logits=said[..., 0]), parts, validate_args=False)


def save(folder: Path, net: MaskedEncoder, card: Card) -> Card:
    """Writes it beside the bundle's weights in half precision; returns the card with its hash."""
    state = {n: v.detach().cpu().half().contiguous() for n, v in net.state_dict().items()}
    save_file(state, folder / MASKED)
    return write_card(folder, card)


_BESIDE: WeakKeyDictionary[LatentModel, MaskedEncoder] = WeakKeyDictionary()


def load(folder: Path, model: LatentModel, card: Card) -> MaskedEncoder | None:
    """The bundle's, from now on `beside` ``model``; None where it has none. Raises BundleError."""
    if MASKED not in card.files:
        return None
    arrays = read_arrays(folder / MASKED, card.files[MASKED])
    try:
        width = len(arrays["trunk.1.weight"])
        net = MaskedEncoder(model.data, model.latent_size, width)
        net.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    except (KeyError, RuntimeError, ValueError, ZeroDivisionError):
        raise BundleError(
            f"{folder.name}: {MASKED} does not fit the model. Make it again with: "
            f"python -m train masks {folder}"
        ) from None
    device = next(model.parameters()).device
    _BESIDE[model] = net.to(device).eval().requires_grad_(False)
    return _BESIDE[model]


def beside(model: LatentModel) -> MaskedEncoder | None:
    """What was loaded for ``model``."""
    return _BESIDE.get(model)
