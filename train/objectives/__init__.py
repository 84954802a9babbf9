"""What is maximised, by name. To add one: write its file, add its line.

An objective is a frozen dataclass that yields phases; a phase is a module and a loss for it.
"""

from .elbo import ELBO
from .iwae import IWAE
from .lagging import Lagging
from .phase import Objective, Phase, Terms
from .tc import BetaTC
from .vade import Clusters
from .vaegan import VAEGAN

__all__ = [
    "ELBO",
    "IWAE",
    "OBJECTIVES",
    "VAEGAN",
    "BetaTC",
    "Clusters",
    "Lagging",
    "Objective",
    "Phase",
    "Terms",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "elbo": ELBO,
    "iwae": IWAE,
    "lagging": Lagging,
    "tc": BetaTC,
    "vade": Clusters,
    "vaegan": VAEGAN,
}
