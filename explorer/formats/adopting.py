"""A recognised checkpoint becomes a bundle of ours: its card says how it was read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from .. import bundle
from ..cards import Card, sha256
from ..spec import DataSpec
from .calibrate import built
from .graphs import graph
from .reading import Found, facts, lacks, words


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


def adopt(found: Found, folder: Path, source: Path | str, title: str = "") -> Card:
    """Writes the bundle into ``folder``; returns its card. Raises BundleError."""
    digest = sha256(source) if isinstance(source, Path) and source.is_file() else ""
    name = title or folder.name
    origin = source.name if isinstance(source, Path) else source
    model = built(found.plan, found.best.choices)
    return bundle.save(folder, model.state_dict(), card(found, name, origin, digest))
