"""Small things made up for tests."""

import numpy as np

from explorer.atlas import Atlas, Mixture


def some_atlas(n, d, **more):
    """An atlas of ``n`` random latents of ``d`` numbers, a standard normal its density."""
    chance = np.random.default_rng(0)
    z = chance.standard_normal((n, d), np.float32)
    known = dict(
        latents=z,
        kl=chance.random(n, np.float32),
        error=chance.random(n, np.float32) / 10,
        axes=np.eye(d, dtype=np.float32),
        mixture=Mixture(np.ones(1), np.zeros((1, d)), np.eye(d)[None]),
        maps={"pca": z[:, :2]},
    )
    return Atlas(**known | more)
