"""Pictures disguised at random, each otherwise, so that few of them go further."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augmented(x: Tensor) -> Tensor:
    """``x: (N, C, H, W)`` recoloured, shifted by up to an eighth and a square of half its side
    hidden, each picture otherwise, so that gradients pass.

    After Zhao et al. 2020 (arXiv:2006.10738): what never sees a picture as it is cannot learn the
    training set by heart.
    """
    return _with_a_hole(_shifted(_recoloured(x)))


def _recoloured(x: Tensor) -> Tensor:
    light, colour, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device, dtype=x.dtype)
    x = x + (light - 0.5) / 2
    grey = x.mean(1, keepdim=True)
    x = grey + 2 * colour * (x - grey)
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (0.5 + contrast) * (x - middle)


def _shifted(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    down = torch.randint(-(h // 8), h // 8 + 1, (n, 1), device=x.device)
    right = torch.randint(-(w // 8), w // 8 + 1, (n, 1), device=x.device)
    # what comes in from beyond the edge is 0, as in a border of one that is added
    rows = (torch.arange(h, device=x.device) + down + 1).clamp(0, h + 1)
    columns = (torch.arange(w, device=x.device) + right + 1).clamp(0, w + 1)
    each = torch.arange(n, device=x.device)[:, None, None]
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _with_a_hole(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    top = torch.randint(-(h // 4), h - h // 4 + 1, (n, 1), device=x.device)
    left = torch.randint(-(w // 4), w - w // 4 + 1, (n, 1), device=x.device)
    rows, columns = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    inside = (
        ((rows >= top) & (rows < top + h // 2))[:, None, :, None]
        & ((columns >= left) & (columns < left + w // 2))[:, None, None, :]
    )  # fmt: skip
    return x.masked_fill(inside, 0.5)
