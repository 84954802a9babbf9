"""Adam (Kingma & Ba 2015, arXiv:1412.6980), by PyTorch's own fused kernel.

``torch.optim.Adam`` gives the same bits, but its first step imports torch's compiler: one to two
seconds that somebody who pressed Train would wait for.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

EPS = 1e-8


class Adam:
    """Moments of some parameters, and the step they lead to.

    Attributes:
        lr: the learning rate of the next step.
        parameters: what is moved, in the order their moments are saved in.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.betas = lr, betas
        self._first = [torch.zeros_like(p) for p in self.parameters]
        self._second = [torch.zeros_like(p) for p in self.parameters]
        self._steps = [torch.zeros((), device=p.device) for p in self.parameters]

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Moves every parameter that has a gradient."""
        gradients = {k: p.grad for k, p in enumerate(self.parameters) if p.grad is not None}
        moved, steps = list(gradients), [self._steps[k] for k in gradients]
        torch.ops.aten._foreach_add_.Scalar(steps, 1)
        torch.ops.aten._fused_adam_.default(
            [self.parameters[k] for k in moved],
            list(gradients.values()),
            [self._first[k] for k in moved],
            [self._second[k] for k in moved],
            [],
            steps,
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=0.0,
            eps=EPS,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """All that going on takes, by number of the parameter."""
        # named as in torch.optim.Adam
        moments = (("exp_avg", self._first), ("exp_avg_sq", self._second), ("step", self._steps))
        return {f"{k}/{name}": v for name, each in moments for k, v in enumerate(each)}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor], strict: bool = True) -> None:
        """Goes on where ``state`` was taken. What it lacks begins anew, or raises KeyError."""
        for name, value in self.state().items():
            if strict or name in state:
                value.copy_(state[name])
