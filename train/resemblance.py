"""How alike two sets of pictures are, and how alike two pictures: numbers, and no model.

Sets are compared by ``(N, F)`` features of each picture, pictures by their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Features = NDArray[np.float64]


def frechet(a: Features, b: Features) -> float:
    """Fréchet distance between Gaussians fitted to ``a: (N, F)`` and ``b: (M, F)`` (Heusel et al.
    2017, arXiv:1706.08500). Biased upwards where there are few: compare only at equal N and M."""
    gap = a.mean(0) - b.mean(0)
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # tr (AB)^½ from the eigenvalues of AB, which are those of a symmetric matrix and so real
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(0)).sum()
    return float(gap @ gap + np.trace(one) + np.trace(two) - 2 * shared)


def kernel(
    a: Features, b: Features, subsets: int = 100, size: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Kernel distance, unbiased, and its standard error (Bińkowski et al. 2018, arXiv:1801.01401).

    The squared MMD under ``(x·y/F + 1)³`` between all of ``a: (N, F)`` and ``b: (M, F)``. The
    error is that of ``subsets`` draws of ``size`` from each, scaled to all of them.
    """
    whole, few = _mmd(a, b), min(len(a), len(b))
    chance, size = np.random.default_rng(seed), min(size, few // 2)
    draws = [
        _mmd(a[chance.choice(len(a), size, False)], b[chance.choice(len(b), size, False)])
        for _ in range(subsets)
    ]
    # draws without replacement vary less than others would, by what is left of the set
    spread = np.std(draws, ddof=1) / np.sqrt(1 - size / few)
    return whole, float(spread * np.sqrt(size / few))


def _mmd(a: Features, b: Features) -> float:
    def k(x: Features, y: Features) -> Features:
        return (x @ y.T / x.shape[1] + 1) ** 3

    n, m = len(a), len(b)
    aa, bb = k(a, a), k(b, b)
    within = (aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1))
    return float(within - 2 * k(a, b).mean())


def precision_recall(real: Features, made: Features, k: int = 3) -> tuple[float, float]:
    """The share of ``made`` within the manifold of ``real``, and of ``real`` within that of
    ``made``: nearer to a member than its k-th neighbour is (Kynkäänniemi et al. 2019,
    arXiv:1904.06991)."""
    return _within(made, real, k), _within(real, made, k)


def _within(some: Features, others: Features, k: int) -> float:
    reach = np.sort(_distances(others, others), axis=1)[:, k]  # the first is the point itself
    return float((_distances(some, others) <= reach).any(1).mean())


def _distances(a: Features, b: Features) -> Features:
    square = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.sqrt(square.clip(0))


# -- pictures, pair by pair


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """``(N,)``: structural similarity of ``a`` and ``b: (N, C, H, W)`` in [0, 1] (Wang et al.
    2004): a Gaussian window of 1.5 pixels, 11 wide, wholly inside; the mean over channels."""
    at = torch.arange(-5, 6, dtype=a.dtype)
    weight = torch.exp(-0.5 * (at / 1.5) ** 2)
    window = (weight / weight.sum()).expand(a.shape[1], 1, -1)

    def mean(x: Tensor) -> Tensor:
        x = F.conv2d(x, window[..., None], groups=x.shape[1])
        return F.conv2d(x, window[:, :, None], groups=x.shape[1])

    ma, mb = mean(a), mean(b)
    va, vb, cab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    light = (2 * ma * mb + 0.01**2) / (ma * ma + mb * mb + 0.01**2)
    return (light * (2 * cab + 0.03**2) / (va + vb + 0.03**2)).flatten(1).mean(1)


def perceptual(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """``(N,)``: squared distance of unit feature vectors at every place, averaged over places and
    summed over levels, of feature maps ``(N, C_l, H_l, W_l)`` (Zhang et al. 2018,
    arXiv:1801.03924, with no weights fitted to people's judgements)."""
    levels = [
        (F.normalize(p, dim=1) - F.normalize(q, dim=1)).square().sum(1).mean((1, 2))
        for p, q in zip(a, b, strict=True)
    ]
    return torch.stack(levels).sum(0)


def sharpness(x: Tensor) -> Tensor:
    """``(N,)``: variance of the Laplacian of the luminance of ``x: (N, C, H, W)`` in [0, 1]."""
    grey = x.mean(1, keepdim=True)
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=x.dtype)
    return F.conv2d(grey, kernel[None, None]).flatten(1).var(1)
