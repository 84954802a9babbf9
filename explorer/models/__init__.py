"""The families. To add one: write its file, add its line."""

from ..protocol import LatentModel
from .cvae import CVAE
from .vae import VAE

FAMILIES: dict[str, type[LatentModel]] = {"vae": VAE, "cvae": CVAE}
