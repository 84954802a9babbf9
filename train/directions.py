"""Attribute directions: fitted and calibrated on training latents, judged on held-out ones.

The classifier's normal tells pictures with an attribute from those without. What is added to a
latent is another vector: the attribute's own pattern, with what goes together with it in the data
taken out (White 2016, arXiv:1609.04468; Haufe et al. 2014 on normals and patterns).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from explorer import ops
from explorer.atlas import Direction
from explorer.attributes import Attribute, described
from explorer.ops import Array

Flags = NDArray[np.bool_]

OUTER = (0.3, 0.7)  # quantiles beyond which a measured attribute is clearly absent or there
FEWEST = 20  # pictures on either side, in training and held-out parts alike


def directions(
    z: Array, known: Mapping[str, Array], held: Array, truth: Mapping[str, Array]
) -> dict[str, Direction]:
    """A direction for every attribute with enough pictures on both sides.

    Arguments:
        z, known: training latents ``(N, D)`` and their attributes ``(N,)``; NaN where unknown.
        held, truth: the same of the held-out pictures.
    """
    enough = [a for a in described(known) if _enough(a, known) and _enough(a, truth)]
    return {a.name: _direction(a, z, known, held, truth) for a in enough}


def sides(a: Attribute, values: Mapping[str, Array]) -> tuple[Flags, Flags]:
    """``(N,)`` bool twice: pictures that clearly lack the attribute, that clearly have it."""
    value = values[a.name]
    bounds = a.bounds or tuple(np.nanquantile(value, OUTER))
    return value <= bounds[0], value >= bounds[1]


def _enough(a: Attribute, values: Mapping[str, Array]) -> bool:
    return a.name in values and min(int(s.sum()) for s in sides(a, values)) >= FEWEST


def _direction(
    a: Attribute,
    z: Array,
    known: Mapping[str, Array],
    held: Array,
    truth: Mapping[str, Array],
) -> Direction:
    from sklearn.metrics import roc_auc_score

    lacks, has = sides(a, known)
    normal, threshold = _classifier(z, lacks, has)

    move = _pattern(a, z, known)
    if move @ normal <= 0:  # taken apart, nothing of it was left
        move = ops.attribute_direction(z[lacks | has], has[lacks | has])
    # one unit flips the attribute for half of the pictures that lack it
    short = threshold - z[lacks] @ normal
    move = move * (np.median(short) / (move @ normal))

    lacks, has = sides(a, truth)
    seen = lacks | has
    auc = roc_auc_score(has[seen], held[seen] @ normal)
    return Direction(move, normal, threshold, float(auc))


def _classifier(z: Array, lacks: Flags, has: Flags) -> tuple[Array, float]:
    """``(D,)`` normal and threshold, by logistic regression in units of spread."""
    from sklearn.linear_model import LogisticRegression

    spread, clear = np.maximum(z.std(0, ddof=1), 1e-6), lacks | has
    fit = LogisticRegression(C=0.05, max_iter=500)
    fit.fit(z[clear] / spread, has[clear])
    return fit.coef_[0].astype(np.float32) / spread, -float(np.ravel(fit.intercept_)[0])


def _pattern(a: Attribute, z: Array, known: Mapping[str, Array]) -> Array:
    """``(D,)``: what changes in z with the attribute; by regression if measured, else by means."""
    if a.bounds is None:
        columns = np.stack([known[n] for n in (a.name, *a.apart_from) if n in known], 1)
        whole = np.isfinite(columns).all(1)
        value, nuisance = columns[whole, 0], columns[whole, 1:]
        return ops.slope_direction(z[whole], value, nuisance)
    lacks, has = sides(a, known)
    clear = lacks | has
    # glasses and beards go with gender in the data; within each gender they go alone
    group = known["gender"][clear] if "gender" in known and a.name != "gender" else None
    return ops.attribute_direction(z[clear], has[clear], group)
