"""The families. To add one: write its file, add its line."""

from ..protocol import LatentModel
from .cvae import CVAE
from .flow import FlowVAE
from .ladder import Ladder
from .pixel import PixelVAE
from .vade import VaDE
from .vae import VAE

FAMILIES: dict[str, type[LatentModel]] = {
    "vae": VAE,
    "cvae": CVAE,
    "flow": FlowVAE,
    "vade": VaDE,
    "ladder": Ladder,
    "pixel": PixelVAE,
}
