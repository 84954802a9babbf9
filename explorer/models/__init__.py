"""The families. To add one: write its file, add its line."""

from ..protocol import LatentModel
from .cvae import CVAE
from .draw import DRAW
from .flow import FlowVAE
from .foreign import Foreign
from .ladder import Ladder
from .pixel import PixelVAE
from .vade import VaDE
from .vae import VAE

FAMILIES: dict[str, type[LatentModel]] = {
    "vae": VAE,
    "cvae": CVAE,
    "draw": DRAW,
    "flow": FlowVAE,
    "vade": VaDE,
    "ladder": Ladder,
    "pixel": PixelVAE,
}

# read from other people's checkpoints: opened like a family, and not offered to train
READ: dict[str, type[LatentModel]] = {"foreign": Foreign}
