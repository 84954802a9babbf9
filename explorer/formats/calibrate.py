"""What leaves no tensor is measured: the reading under which encode(decode(z)) gives z back.

Known pictures help where they are of the model's kind: the visitor's own, else those that the
shipped models draw (digits, garments, faces). A reading that redraws them well is right.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.foreign import OUTPUTS, Config, Foreign
from ..rng import seeded
from ..spec import DataSpec
from .chains import MEAN, SECOND
from .graphs import graph
from .plans import Choices, Exact, Plan

SECONDS = 7.0  # of one core
DRAWS = 40
WITHIN = 0.5  # of the best error of z: so bad, that no picture need be redrawn to tell
CLOSE = 0.5  # share of variance missed, below which a kind of pictures is the model's own
FEW = 6  # plans that are measured in full
HIDDEN = (
    "relu", "leaky 0.2", "elu", "tanh", "leaky 0.01", "sigmoid", "silu", "gelu", "softplus",
    "selu",
)  # fmt: skip
USUAL = {"relu": 1.0, "leaky 0.2": 1.01, "leaky 0.01": 1.02}  # the others must be better by 5 %
STANDARD = (-0.1307 / 0.3081, (1 - 0.1307) / 0.3081)  # as torchvision's examples scale MNIST
UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)
RANGES = (  # output, what 0 and 1 are in it, what they are for the encoder
    ("sigmoid", UNIT, UNIT),
    ("tanh", SIGNED, SIGNED),
    ("linear", UNIT, UNIT),
    ("tanh", UNIT, UNIT),
    ("sigmoid", UNIT, SIGNED),
    ("linear", SIGNED, SIGNED),
    ("sigmoid", UNIT, STANDARD),
    ("linear", STANDARD, STANDARD),
)
HALVED = ("linear", (-0.5, 0.5), (-0.5, 0.5))  # as the programs of VQ-VAEs like it
Probes = dict[str, Tensor]
Read = Plan | Exact


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to read a file, and how well it holds.

    Attributes:
        score: the lower the better: `back` and `seen` together.
        back: mean squared error of encode(decode(z)) against z ~ N(0, I).
        seen: error of redrawn pictures, as a share of their variance; infinite without pictures.
        like: which pictures these were.
    """

    plan: Read
    choices: Choices
    score: float
    back: float
    seen: float
    like: str
    corr: float = 0.0

    def model(self) -> Foreign:
        """The model under this reading, in eval mode."""
        return built(self.plan, self.choices)


def spec(plan: Read, name: str = "foreign") -> DataSpec:
    """What its pictures look like."""
    return DataSpec(name, *plan.shape, tuple(map(str, range(plan.classes))))


def built(plan: Read, choices: Choices) -> Foreign:
    """The model of a plan. Raises RuntimeError or BundleError where its weights do not fit."""
    made, weights = graph(plan, choices)
    with torch.device("meta"):
        model = Foreign(spec(plan), Config(made))
    model.load_state_dict(weights, strict=True, assign=True)
    model.origin = torch.zeros(plan.latent)
    return model.eval().requires_grad_(False)


def calibrated(
    plans: Sequence[Read], given: Probes, hints: Choices | None = None
) -> list[Candidate]:
    """Readings of the plans by how well they hold, the best first; none that cannot be run."""
    began = time.thread_time()
    search = _Search(given)
    best: list[Candidate] = []
    for plan in search.promising(plans, hints or Choices(), began):
        if best and time.thread_time() - began > SECONDS / 2:
            break
        best += search.of(plan, hints or Choices())
    if not best:
        return []
    best.sort(key=lambda c: c.score)
    if best[0].seen < CLOSE:
        search.like = best[0].like
    for leader in _leaders(best):
        best += _bent(search, leader, began)
    best.sort(key=lambda c: c.score)
    for leader in _leaders(best):
        best += _descended(search, leader, began)
    best.sort(key=lambda c: c.score)
    return best


def _bent(search: _Search, leader: Candidate, began: float) -> list[Candidate]:
    """Readings with other activations under every range: one may hide the other."""
    found: list[Candidate] = []
    bridge = leader.choices.bridge
    for hidden, bridged in [(h, bridge) for h in HIDDEN] + [(h, not bridge) for h in HIDDEN[:3]]:
        if isinstance(leader.plan, Exact) or time.thread_time() - began > SECONDS / 2:
            break
        found += search.of(leader.plan, replace(leader.choices, hidden=hidden, bridge=bridged))
    return found


def _leaders(ranked: list[Candidate]) -> list[Candidate]:
    """The best candidate of each of the best plans."""
    found: dict[int, Candidate] = {}
    for candidate in ranked:
        found.setdefault(id(candidate.plan), candidate)
    return list(found.values())[:3]


def _descended(search: _Search, leader: Candidate, began: float) -> list[Candidate]:
    """Readings that differ from the leader in one choice after the other."""
    seen = [leader]
    for _ in range(2):
        before = leader
        for variation in variations(leader):
            if time.thread_time() - began > SECONDS:
                return seen
            found = search.of(leader.plan, variation, leader)
            seen += found
            leader = min([leader, *found], key=lambda c: c.score)
        if leader is before:
            break
        seen += search.of(leader.plan, leader.choices)  # its range is asked again
        leader = min(seen, key=lambda c: c.score)
    return seen


def variations(leader: Candidate) -> Iterator[Choices]:
    c, plan = leader.choices, leader.plan
    if isinstance(plan, Exact):
        return
    if not all(block.told for block in plan.blocks):
        yield replace(c, flipped=not c.flipped)
    if plan.blocks:
        yield replace(c, bent=not c.bent)
        yield replace(c, summed=not c.summed)
        yield replace(c, inner="" if c.inner else "relu")
    if plan.codes is not None:
        yield replace(c, headed=not c.headed)
    yield replace(c, bridge=not c.bridge)
    yield replace(c, top=not c.top)
    yield replace(c, late=not c.late)
    for hidden in HIDDEN:
        if hidden != c.hidden:
            yield replace(c, hidden=hidden, drawing="")
    for hidden in HIDDEN[:7]:
        if hidden != (c.drawing or c.hidden):
            yield replace(c, drawing=hidden)
    yield replace(c, bridge=not c.bridge)


class _Search:
    """Measures readings; draws of z are the same for all, so that they differ in nothing else."""

    def __init__(self, given: Probes) -> None:
        self.given = given
        self.like = ""  # the kind of pictures that the model is known to redraw
        self.done: set[str] = set()
        self.fitted: dict[tuple[int, ...], Probes] = {}

    @torch.no_grad()
    def promising(self, plans: Sequence[Read], choices: Choices, began: float) -> list[Read]:
        """FEW plans: the likeliest, and those under which z comes back best, all else usual."""
        if len(plans) <= FEW:
            return list(plans)
        back = {}
        for plan in plans:
            if len(back) >= FEW and time.thread_time() - began > SECONDS / 4:
                break
            likely = _likely(plan, choices)
            try:
                model = built(plan, likely)
                if isinstance(plan, Exact):
                    continue
                z = self._latents(plan)
                y = torch.arange(len(z)) % plan.classes if plan.classes else None
                x = model.painted(model.raw(z, y))
                means = [model.heads(model.features(x, y))[0]] if model.encodes else [z]
                if len(model.second):
                    means.append(model.second(model.features(x, y)).flatten(1))
            except (RuntimeError, ValueError):
                continue
            n = plan.reading.latent
            errors = [(m[:, :n] - z[:, :n]).square().mean().item() for m in means]
            back[id(plan)] = min(errors) + 0.05 * plan.cost
        tried = [plan for plan in plans if id(plan) in back]
        tried.sort(key=lambda p: back[id(p)])
        likely = [p for p in plans if p in tried][: FEW // 2]
        return [*likely, *(p for p in tried if p not in likely)][:FEW]

    @torch.no_grad()
    def of(self, plan: Read, choices: Choices, leader: Candidate | None = None) -> list[Candidate]:
        """This reading under every order of the heads, and every range or that of a leader."""
        key = repr((id(plan), graph(plan, choices)[0], leader is None))
        if key in self.done:
            return []
        self.done.add(key)
        try:
            model = built(plan, replace(choices, swapped=False))
            if isinstance(plan, Exact):
                return self._exact(plan, choices, model)
            z = self._latents(plan)
            y = torch.arange(len(z)) % plan.classes if plan.classes else None
            raw = model.raw(z, y)
        except (RuntimeError, ValueError):
            return []
        ranges = RANGES if not plan.spatial else (*RANGES, HALVED)
        if leader is not None:
            ranges = ((leader.choices.output, leader.choices.out_of, leader.choices.into),)
        heads: list[tuple[Choices, float, float, float]] = []
        for output, out_of, into in ranges:
            model.output, model.out_of, model.into = OUTPUTS[output], out_of, into
            these = replace(choices, output=output, out_of=out_of, into=into)
            unlikely = _unlikely(output, out_of, raw)
            if not model.encodes:
                heads.append((these, 0.0, unlikely, 0.0))
                continue
            try:
                h = model.features(model.painted(raw), y)
            except (RuntimeError, ValueError):
                return []
            for layout, swapped in _orders(plan):
                model.layout = layout
                these = replace(these, layout=layout, swapped=swapped)
                n = plan.latent - plan.discrete
                mean = _mean(model, these, h)[:, :n]
                back = (mean - z[:, :n]).square().mean().item()
                heads.append((these, back, unlikely, _correlation(mean, z[:, :n])))
        if not model.encodes:
            return [Candidate(plan, c, u, 0.0, 0.0, "") for c, _, u, _ in heads]
        heads = [head for head in heads if head[1] == head[1]]
        best = min((_weighed(back) + unlikely for _, back, unlikely, _ in heads), default=0.0)
        if leader is not None and leader.plan is plan:
            best = min(best, _weighed(leader.back))
        return self._measured(plan, model, heads, best)

    def _exact(self, plan: Exact, choices: Choices, model: Foreign) -> list[Candidate]:
        """What pictures look like to it is known: only how well it redraws some is measured."""
        choices = replace(choices, layout=plan.layout)
        model.layout = plan.layout
        seen, like = self._seen(plan, model, choices) if model.encodes else (0.0, "")
        return [Candidate(plan, choices, min(seen, 1.2) + 0.05 * plan.cost, 0.0, seen, like)]

    def _measured(
        self,
        plan: Plan,
        model: Foreign,
        heads: list[tuple[Choices, float, float, float]],
        best: float,
    ) -> list[Candidate]:
        """Candidates of choices, each with its error of z, how unlikely its output is, and the
        correlation; pictures are redrawn by those whose error of z is nearly ``best``."""
        found = []
        for choices, back, unlikely, correlation in heads:
            seen, like = float("inf"), ""
            if _weighed(back) + unlikely < best + WITHIN:
                model.output, model.layout = OUTPUTS[choices.output], choices.layout
                model.out_of, model.into = choices.out_of, choices.into
                seen, like = self._seen(plan, model, choices)
            score = _weighed(back) + min(seen, 1.2) + unlikely + 0.05 * plan.cost
            score *= USUAL.get(choices.hidden, 1.05) * (1.05 if choices.drawing else 1.0)
            score *= _surprise(plan, choices)
            found.append(Candidate(plan, choices, score, back, seen, like, correlation))
        return [c for c in found if c.score == c.score]

    def _seen(self, plan: Read, model: Foreign, choices: Choices) -> tuple[float, str]:
        best = (float("inf"), "")
        for name, x in self._probes(plan).items():
            if self.like and name != self.like:
                continue
            shares = []
            for label in range(min(plan.classes, 10)) or [None]:
                y = None if label is None else torch.full((len(x),), label)
                mean = _mean(model, choices, model.features(x, y))
                redrawn = model.painted(model.raw(mean, y))
                shares.append((redrawn - x).square().flatten(1).mean(1))
            error = torch.stack(shares).amin(0).mean()
            share = (error / (x - x.mean(0)).square().mean()).item()
            best = min(best, (share, name))
        return best

    def _probes(self, plan: Read) -> Probes:
        c, h, w = plan.shape
        few = 4 if plan.classes else 10
        if isinstance(plan, Exact):
            few = 4 if plan.shape[1] <= 64 else 2
        if (*plan.shape, few) not in self.fitted:
            these = (
                {n: x for n, x in self.given.items() if x.shape[1] == c} if c == 3 else self.given
            )
            self.fitted[*plan.shape, few] = {
                name: fitted(x[:few], c, h, w) for name, x in these.items()
            }
        return self.fitted[*plan.shape, few]

    def _latents(self, plan: Plan) -> Tensor:
        with seeded(0):
            if plan.codes is not None:
                places = torch.randint(len(plan.codes), (FEW, *plan.seam))
                return plan.codes[places].movedim(-1, 1).flatten(1)
            z = torch.randn(DRAWS, plan.latent)
            if plan.discrete:
                k = plan.discrete
                z[:, -k:] = F.one_hot(torch.randint(k, (DRAWS,)), k).float()
        return z


def _surprise(plan: Read, choices: Choices) -> float:
    """A factor that decides where nothing can be measured: names, order, the usual range."""
    factor = 1.0 if choices.into == choices.out_of == UNIT else 1.02
    if STANDARD in (choices.into, choices.out_of):  # hardly anybody's
        factor = 1.15
    if choices.layout == "chunked, second first":
        factor *= 1.03
    if isinstance(plan, Exact):
        return factor
    reading = plan.reading
    if reading.mean is not None and reading.second is not None:
        first, second = reading.mean.name, reading.second.name
        said = bool(MEAN.search(first)) - bool(MEAN.search(second))
        said += bool(SECOND.search(second)) - bool(SECOND.search(first))
        turned = said < 0  # the names say that the second of the two is the mean
        factor *= 1.0 if choices.swapped == turned else 1.1 if said else 1.03
    return factor


def _likely(plan: Read, choices: Choices) -> Choices:
    """The same with a layout that the plan's heads can have."""
    if isinstance(plan, Exact):
        return replace(choices, layout=plan.layout)
    if plan.reading.doubled:
        kept = choices.layout if choices.layout != "separate" else "chunked"
        return replace(choices, layout=kept)
    return replace(choices, layout="mean only" if plan.reading.second is None else "separate")


def _orders(plan: Plan) -> tuple[tuple[str, bool], ...]:
    if plan.reading.doubled:
        return ("chunked", False), ("chunked, second first", False), ("interleaved", False)
    if plan.reading.second is not None:
        return ("separate", False), ("separate", True)
    return (("mean only", False),)


def _mean(model: Foreign, choices: Choices, h: Tensor) -> Tensor:
    """``(B, D)``: the posterior's mean; the model has its heads in the file's order."""
    if not choices.swapped:
        return model.heads(h)[0]
    mean = model.second(h).flatten(1)
    return torch.cat([mean, model.choice(h).softmax(-1)], -1) if len(model.choice) else mean


def fitted(x: Tensor, c: int, h: int, w: int) -> Tensor:
    """``(n, c, h, w)``: pictures in grey or colour and resized, as a model wants them."""
    if x.shape[1] != c:
        x = x.mean(1, keepdim=True) if c == 1 else x.expand(-1, c, -1, -1)
    if x.shape[2:] != (h, w):
        x = F.interpolate(x, (h, w), mode="bilinear", align_corners=False, antialias=True)
    return x.contiguous()


def _weighed(back: float) -> float:
    """An error of z as it counts: above 1 it tells nothing of z, how much above hardly matters."""
    return back if back < 1 else 1 + 0.3 * (min(back, 8.0) - 1)


def _unlikely(output: str, out_of: tuple[float, float], raw: Tensor) -> float:
    """How hardly a decoder with this output would give these numbers before it."""
    inside = ((raw > -0.15) & (raw < 1.15)).float().mean().item()
    if output == "linear":
        wide = ((raw > -1.3) & (raw < 1.3)).float().mean().item()
        return 1.5 * (1 - max(inside, wide)) + 0.05
    if output == "tanh":  # trained on pictures in [0, 1] it would hardly go far below
        below = (raw < -0.3).float().mean().item() if out_of == UNIT else 0.0
        return 0.05 + below
    return 0.6 if inside > 0.97 and output == "sigmoid" else 0.0


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(0), b - b.mean(0)
    share = (a * b).mean(0) / (a.std(0) * b.std(0)).clamp(min=1e-8)
    return share.abs().mean().item()
