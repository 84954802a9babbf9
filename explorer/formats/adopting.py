"""A recognised checkpoint becomes a bundle of ours: its card says how it was read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from torch import Tensor

from .. import atlas, bundle, charting
from ..cards import Card, sha256, write_card
from ..spec import DataSpec
from .calibrate import built, fitted
from .graphs import graph
from .reading import Found
from .telling import facts, lacks, words

FEW = 24  # pictures, from which on the map is of them
ATLAS = "atlas"  # the note of what the atlas is made of


def card(found: Found, name: str, source: str, digest: str = "") -> Card:
    """The bundle's card: source, what was recognised, and how sure that is."""
    plan, choices = found.plan, found.best.choices
    made, _ = graph(plan, choices)
    classes = tuple(map(str, range(plan.classes)))
    said = words(found)
    provenance = {"source": source, "read": f"{date.today()}"}
    if digest:
        provenance["SHA-256 of the file"] = digest
    provenance |= {"format": found.format, "container": found.contents.container}
    provenance["facts"] = json.dumps(facts(found))
    notes = {"shows": f"Read from {source}: {said['Recognised as']}."}
    notes |= {f"read: {title}": text for title, text in said.items()}
    notes |= {f"lacks {what}": reason for what, reason in lacks(found).items()}
    return Card(
        name=name, family="foreign", config={"graph": made},
        data=DataSpec(name, *plan.shape, classes), title=name, provenance=provenance, notes=notes,
    )  # fmt: skip


def adopt(
    found: Found, folder: Path, source: Path | str, title: str = "", own: Tensor | None = None
) -> Card:
    """Writes the bundle into ``folder``; returns its card. Raises BundleError.

    ``own: (n, C, H, W)`` in [0, 1] are pictures of its kind, of which there will be a map.
    """
    digest = sha256(source) if isinstance(source, Path) and source.is_file() else ""
    name = title or folder.name
    origin = source.name if isinstance(source, Path) else source
    model = built(found.plan, found.best.choices)
    said = card(found, name, origin, digest)
    if found.plan.spatial:
        return bundle.save(folder, model.state_dict(), said)
    encodes = "encoder" not in lacks(found)
    seen = None
    if own is not None and encodes and len(own) >= FEW:
        seen = fitted(own, *found.plan.shape)
    what = "pictures that were given" if seen is not None else "draws of its prior"
    said = bundle.save(folder, model.state_dict(), replace(said, notes=said.notes | {ATLAS: what}))
    atlas.save(folder, charting.drawn(model, seen, encodes))
    return write_card(folder, said)
