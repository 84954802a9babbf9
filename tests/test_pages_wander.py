"""Play, Manifold, Map and the card without a browser: what a part says reaches the table."""

import dataclasses
import gc
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import test_app
import torch
from streamlit.testing.v1 import AppTest
from test_app import SPECS, toy

from explorer import atlas, bundle, cards, diagnostics, images, shelf
from explorer.energies import ENERGIES, shipped
from explorer.runs import Run
from explorer.ui import bring, cache, components, opening, wander
from explorer.ui.components import Rested
from explorer.ui.state import Workbench

MAIN = Path(__file__).parents[1] / "explorer" / "ui" / "main.py"
desk = test_app.desk  # the fixture


def page(name):
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    at = at.switch_page(f"tools/{name}.py").run()
    assert not at.exception
    assert not at.error
    return at


def bench(at):
    return at.session_state["workbench"]


def without_atlas(folder, spec, latent=4):
    toy(folder, spec, latent)
    (folder / cards.ATLAS).unlink()
    cards.write_card(folder, cards.read_card(folder))


@pytest.fixture
def says(monkeypatch):
    """Has a browser part say something, whatever the page asks it."""

    def said(part, value):
        def answer(*args, **asked):
            told = value(*args, **asked) if callable(value) else value
            if "on_rest" in asked:
                asked["on_rest"](told)
            return told

        monkeypatch.setattr(components, part, answer)

    return said


# -- what is in hand


def test_a_model_that_one_comes_back_to_is_as_one_left_it(desk):
    toy(desk / "a-first", SPECS["grey"], family="cvae")
    toy(desk / "b-second", SPECS["grey"], latent=5)
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert bench(at).key == "a-first"
    bench(at).move(np.full(4, 0.5))
    bench(at).y = 2
    flags = np.zeros(20, np.bool_)
    bench(at).groups["mine"] = flags
    at.selectbox(key="model").select("b-second").run()
    assert bench(at).z.shape == (5,)
    assert (bench(at).y, bench(at).groups) == (None, {})
    before = bench(at).revision
    at.selectbox(key="model").select("a-first").run()
    assert bench(at).z.tolist() == [0.5] * 4
    assert bench(at).y == 2
    assert bench(at).groups["mine"] is flags
    assert bench(at).revision > before  # the stage goes there


# -- Play


def test_what_the_stage_comes_to_rest_at_is_the_current_picture_and_does_not_move_it(desk, says):
    toy(desk / "toy", SPECS["colour"])
    z = np.array([0.1, -0.2, 0.3, 0.4], np.float32)
    says("stage", Rested(z, np.zeros(4)))
    at = page("play")
    before = bench(at).revision
    at.session_state["play/stage"] = {"value": None}  # as the browser leaves it behind
    at.run()
    assert bench(at).z.tolist() == z.tolist()
    assert bench(at).revision == before


def test_a_seed_is_a_world_whose_home_is_the_first_picture(desk):
    toy(desk / "toy", SPECS["grey"])
    at = page("play")
    at.number_input(key="seed").set_value(41).run()
    opened = shelf.SHELF[bench(at).key]
    draws = wander.world(opened, 41, 256)
    known = opened.atlas.typicality(draws[:16])
    assert np.allclose(bench(at).z, draws[known.argmax()])
    assert bench(at).seed == 41


def test_a_variation_is_taken(desk):
    toy(desk / "toy", SPECS["grey"])
    at = page("play")
    z = bench(at).z
    kin = wander.variations(bench(at).opened, z, 5)
    at.button(key="play/like/3").click().run()
    assert np.allclose(bench(at).z, kin[3])
    assert not np.allclose(bench(at).z, z)


def test_the_nearest_that_is_known_is_at_hand(desk):
    toy(desk / "toy", SPECS["grey"])
    at = page("play")
    known = bench(at).opened.atlas
    at.button(key="play/near/0").click().run()
    assert (known.latents == bench(at).z).all(1).any()


def test_more_dials_leave_the_picture_as_it_is(desk):
    toy(desk / "toy", SPECS["grey"], latent=9)
    at = page("play")
    z = bench(at).z
    at.toggle(key="play/more").set_value(True).run()
    assert not at.exception
    assert np.allclose(bench(at).z, z)


def test_of_a_conditional_model_one_place_is_seen_in_every_class_and_one_is_chosen(desk, says):
    toy(desk / "toy", SPECS["grey"], family="cvae")
    asked = []

    def shown(key, **given):
        asked.append(given["y"])
        return Rested()

    says("stage", shown)
    at = page("play")
    z = bench(at).z
    assert [b.key for b in at.button if b.key.startswith("play/class/")] == [
        f"play/class/{k}" for k in range(3)
    ]
    at.button(key="play/class/2").click().run()
    assert not at.exception
    assert bench(at).y == 2
    assert (bench(at).z == z).all()
    assert asked[0] == 0
    assert asked[-1] == 2
    opened = bench(at).opened
    at = at.switch_page("tools/manifold.py").run()
    assert asked[-1] == 2  # and on every other page
    first, second = (opened.decoder(z[None], y) for y in (0, 2))
    assert (first != second).any()


def test_of_a_mixture_prior_a_cluster_can_be_drawn_from_and_the_map_coloured(desk):
    toy(desk / "toy", SPECS["grey"], family="vade")
    at = page("play")
    known = bench(at).opened.atlas
    assert any("Your picture lies in cluster" in c.value for c in at.caption)
    at.button(key="play/cluster/1").click().run()
    assert not at.exception
    first = bench(at).z
    assert known.cluster_of(first[None])[0] == 1  # the toy's are far from each other
    at.button(key="play/cluster/1").click().run()
    assert (bench(at).z != first).all()  # another one each time
    assert "Cluster" in page("map").selectbox(key="map/colour").options


def test_a_drawn_digit_is_told_its_cluster_and_comes_onto_the_stage(desk, monkeypatch):
    toy(desk / "toy", SPECS["grey"], family="vade")
    ink = np.zeros(bring.PAD, bool)
    pad = [None]
    monkeypatch.setattr(components, "brush", lambda *a, **k: pad[0])
    at = page("play")
    assert any("Draw a digit" in c.value for c in at.caption)
    ink[20:90, 50:60] = True
    pad[0] = ink
    at.run()
    assert not at.exception
    opened = bench(at).opened
    known = opened.atlas
    z = cache.latent(opened, images.prepare(images.from_ink(ink), opened.data))
    shares = known.cluster_shares(z)[0]
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == known.cluster_of(z)[0]
    at.button(key="play/ink/take").click().run()
    np.testing.assert_allclose(bench(at).z, z[0])
    taken = wander.cluster_names(opened)[shares.argmax()].lower()
    assert any(taken in c.value for c in at.caption)


def ordinary(noise):
    """Noise no longer than noise is."""
    return noise / max(1, np.sqrt(np.square(noise).mean()))


def test_of_a_ladder_one_level_is_drawn_anew_and_the_other_stays(desk):
    toy(desk / "toy", SPECS["grey"], latent=dict(top=2, bottom=3), family="ladder")
    at = page("play")
    z = bench(at).z
    at.button(key="play/level/detail/0").click().run()
    assert not at.exception
    assert np.allclose(bench(at).z[:2], ordinary(z[:2]), atol=1e-4)
    assert not np.isclose(bench(at).z[2:], z[2:]).any()
    z = bench(at).z
    prior = bench(at).opened.model.prior()
    at.button(key="play/level/whole/1").click().run()
    assert not np.isclose(bench(at).z[:2], z[:2]).any()
    before, after = (prior.to_noise(torch.from_numpy(each)) for each in (z, bench(at).z))
    assert np.allclose(ordinary(before[2:].numpy()), after[2:], atol=1e-3)


def test_what_draws_pixel_by_pixel_does_so_when_asked(desk):
    toy(desk / "toy", SPECS["grey"], family="pixel")
    at = page("play")
    at.button(key="play/draw").click().run()
    assert not at.exception
    assert not at.error
    opened, z = bench(at).opened, bench(at).z
    rows = list(cache.film(opened, z, 0, 6))
    assert len(rows) == 8
    assert (rows[-1][:, :4] == rows[3][:, :4]).all()  # what is drawn stays
    assert (rows[3][:, 4:] == 0).all()
    assert set(np.unique(rows[-1])) == {0, 255}
    assert (rows[-1] != rows[-1][0]).any()  # one place, several drawings
    assert (list(cache.film(opened, z, 0, 6))[-1] == rows[-1]).all()


def test_what_paints_in_steps_shows_its_canvas_after_each(desk, monkeypatch):
    films = {}
    monkeypatch.setattr(
        components, "film", lambda key, frames, **more: films.update({key: frames})
    )
    toy(desk / "toy", SPECS["grey"], family="draw")
    at = page("play")
    frames, opened = films["play/painting"], bench(at).opened
    assert len(frames) == 11
    picture = cache.drawn(opened, bench(at).z[None])[0]
    inside = frames[-1].reshape(8, -1, 8, frames.shape[2] // 8, 3)[:, 2:-2, :, 2:-2]
    shown = np.median(inside, axis=(1, 3))  # but for the frame of the window
    assert np.abs(shown - picture).max() <= 1
    assert (frames[1:] == images.OUTLINE).all(-1).any((1, 2)).all()
    assert not (frames[0] == images.OUTLINE).all(-1).any()


@pytest.mark.parametrize("family", ["vade", "flow"])
def test_the_card_says_where_information_has_no_coordinates(desk, family):
    toy(desk / "toy", SPECS["grey"], family=family)
    assert any("no coordinate alone" in c.value for c in page("model").caption)


@pytest.mark.parametrize(("scale", "told"), [(0.0, True), (1.0, False)])
def test_the_card_tells_a_posterior_that_has_collapsed(desk, scale, told):
    toy(desk / "toy", SPECS["grey"])
    model, card = bundle.load(desk / "toy")
    head = model.encoder[-1][-1]
    head.weight.mul_(scale).add_(0.3 * (scale > 0))
    head.bias.mul_(scale)
    bundle.save(desk / "toy", model.state_dict(), card)
    assert any("collapsed" in w.value for w in page("model").warning) == told


@pytest.mark.parametrize(
    ("kind", "family"), [("grey", "vae"), ("colour", "vae"), ("grey", "cvae"), ("grey", "flow")]
)
def test_the_gaps_of_a_picture_are_shown_in_their_order(desk, monkeypatch, kind, family):
    toy(desk / "toy", SPECS[kind], family=family)
    at = page("gaps")
    told = [float(m.value.replace("−", "-")) for m in at.metric]
    assert len(told) == 3
    assert told[0] <= told[1] <= told[2]
    assert any("nats" in c.value and "K = " in c.value for c in at.caption)
    in_a_plane = any("leans" in c.value and "nats apart" in c.value for c in at.caption)
    assert in_a_plane == SPECS[kind].pixelated


def test_the_gaps_over_many_pictures_are_the_cards(desk):
    toy(desk / "toy", SPECS["grey"])
    card = cards.read_card(desk / "toy")
    told = cards.Metric("few/encoder", -12.345, "nats", "toys, held-out", 100, 0.51)
    cards.write_card(desk / "toy", dataclasses.replace(card, metrics=(told,)))
    at = page("gaps")
    assert any("Over 100 pictures" in m.value for m in at.markdown)
    assert "−12.35 ± 0.51" in str(at.table[0].value)


def test_a_cloud_is_bent_into_the_shape_that_is_chosen(desk):
    at = page("flows")
    found = shipped()
    for name, steps in zip(ENERGIES, (32, 8, 2, 32), strict=True):
        at.segmented_control(key="flows/shape").set_value(name)
        at.segmented_control(key="flows/steps").set_value(steps).run()
        assert not at.exception
        assert at.metric[0].value.startswith(f"{found.kl[name, steps][0]:.2f}")
    assert any(found.protocol in c.value for c in at.caption)


def test_three_models_place_the_same_digits(desk):
    at = page("clouds")
    assert any("cloud-ae is not there" in i.value for i in at.info)
    for name, share in (("cloud-ae", 0.5), ("cloud-kl", 0.0), ("cloud-vae", 0.02)):
        toy(desk / name, SPECS["grey"], latent=2)
        holes = cards.Metric("hole_share", share, "of all", "draws", 100, 0.01)
        card = cards.read_card(desk / name)
        cards.write_card(desk / name, dataclasses.replace(card, metrics=(holes,)))
    at = page("clouds")
    told = [c.value for c in at.caption if "of the prior" in c.value]
    assert [t.split()[-10] for t in told] == ["50%", "0%", "2%"]
    at.number_input(key="clouds/seed").set_value(3).run()
    assert not at.exception


def test_the_scoreboard_repeats_the_cards_best_first(desk):
    for k, value in enumerate((-90.25, -80.5)):
        folder = desk / f"toy-{k}"
        toy(folder, SPECS["grey"])
        metrics = (
            cards.Metric("log_likelihood", value, "nats", "toys, given the class, K = 7", 50, 0.5),
            cards.Metric("gain/other", 1.5, "nats", "pairs", 50, 0.25),
            cards.Metric("class_accuracy", 0.975, "of all", "read", 50, 0.01),
            cards.Metric("seeds/elbo", -91.5, "nats", "seeds", 5, 0.125),
            *(
                cards.Metric(f"rest/{way}, {given} given", value - given, "nats", "rest", 50, 0.5)
                for way in ("network", "CVAE")
                for given in (1, 2)
            ),
        )
        notes = {"published": "Somebody 2016: -70.", "budget": "Fewer passes."}
        card = dataclasses.replace(cards.read_card(folder), metrics=metrics, notes=notes)
        cards.write_card(folder, card)
    at = page("scoreboard")
    first, *others = at.table
    rows = first.value
    assert [list(t.value[""]) for t in others] == [["network", "CVAE"]] * 2
    assert others[1].value["2 given"][0] == "−92.25 ± 0.50"
    assert list(rows["log p(x)"]) == ["−80.50 ± 0.50", "−90.25 ± 0.50"]
    assert list(rows["Model"]) == ["Toy\\-1", "Toy\\-0"]
    assert rows["ELBO"][0] == "–"
    assert rows["How"][0] == "given the class, K = 7, n = 50"
    told = next(m.value for m in at.markdown if "Somebody" in m.value).splitlines()[0]
    assert (
        "Log p gained over other 1.50 ± 0.25, class accuracy 97.5 ± 1.0 %, over seeds: elbo "
        "−91.50 ± 0.12." in told
    )
    assert "Published: Somebody 2016" in told


@pytest.mark.parametrize("name", ["play", "manifold", "map", "model"])
def test_without_an_atlas_every_page_still_opens(desk, name):
    without_atlas(desk / "toy", SPECS["grey"])
    at = page(name)
    assert any(len(w.value) > 10 for w in (*at.caption, *at.info, *at.markdown))


@pytest.mark.parametrize("name", ["play", "manifold", "map"])
def test_a_page_begins_with_the_picture_that_was_left_on_another(desk, says, name):
    toy(desk / "toy", SPECS["colour"])
    z = np.array([0.5, -1.0, 0.25, 2.0], np.float32)
    says("stage", Rested(z))
    at = page("manifold" if name == "play" else "play")
    begun = {}
    at.session_state["manifold/stage"] = at.session_state["play/stage"] = None

    def shown(key, **asked):
        begun.update(asked)
        return Rested()

    says("stage", shown)
    for key in ("manifold/stage", "play/stage"):
        del at.session_state[key]
    at.switch_page(f"tools/{name}.py").run()
    assert begun["origin"].tolist() == z.tolist()


# -- Manifold


@pytest.mark.parametrize("latent", [2, 4])
def test_the_sheet_lies_round_the_middle_and_what_rests_on_it_is_the_picture(desk, says, latent):
    make = toy if latent > 2 else without_atlas
    make(desk / "toy", SPECS["grey"], latent)
    asked = {}

    def shown(key, **more):
        asked.update(more)
        return Rested(np.full(latent, 0.5, np.float32))

    says("stage", shown)
    at = page("manifold")
    at.session_state["manifold/stage"] = {}  # as the browser leaves it behind
    opened, revision = bench(at).opened, bench(at).revision
    assert np.allclose(asked["surface"].centre, wander.middle(opened))
    u, v = list(wander.ways(opened).values())[:2]
    assert np.allclose([asked["surface"].u, asked["surface"].v], [u, v])
    assert bench(at).z.tolist() == [0.5] * latent
    at.run()
    assert bench(at).revision == revision  # it is where the hand left it


def test_the_sheet_can_be_laid_round_the_picture_in_hand(desk, says):
    toy(desk / "toy", SPECS["grey"])
    centres = []

    def shown(key, **more):
        centres.append(more["surface"].centre)
        return Rested(np.arange(4, dtype=np.float32))

    says("stage", shown)
    at = page("manifold")
    at.toggle(key="manifold/mine").set_value(True).run()
    assert centres[-1].tolist() == [0, 1, 2, 3]


# -- Map


def test_a_lassoed_group_gets_a_name_and_says_how_many_it_shows(desk, says):
    toy(desk / "toy", SPECS["grey"])
    flags = np.arange(60) < 20
    says("stage", Rested(lasso=flags))
    at = page("map")
    assert any("9 of 20" in c.value for c in at.caption)
    at.text_input[0].set_value("the first")
    at.button[0].click().run()
    assert bench(at).groups["the first"].tolist() == flags.tolist()


def test_every_picture_of_the_atlas_is_counted(desk):
    toy(desk / "toy", SPECS["colour"])
    at = page("map")
    assert any("60 pictures that" in c.value for c in at.caption)


# -- the card


def zipped(folder, spoil=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in folder.iterdir():
            damaged = spoil and path.name == cards.WEIGHTS
            archive.writestr(f"toy/{path.name}", b"no" if damaged else path.read_bytes())
    return "toy.zip", buffer.getvalue(), "application/zip"


def open_zip(at, file):
    at.file_uploader(key="model/zip").set_value(file).run()
    next(b for b in at.button if b.label == "Open the zip").click().run()
    assert not at.exception


def test_an_uploaded_zip_is_opened_and_a_damaged_one_leaves_what_was_open(desk):
    toy(desk / "shipped", SPECS["grey"])
    at = page("model")
    open_zip(at, zipped(desk / "shipped", spoil=True))
    assert any("hash" in e.value for e in at.error)
    assert bench(at).key == "shipped"
    open_zip(at, zipped(desk / "shipped"))
    assert not at.error
    assert bench(at).own == {bench(at).key: "Shipped (yours)"}


def test_a_typed_folder_is_opened_or_told_and_only_on_ones_own_computer(
    desk, tmp_path, monkeypatch
):
    toy(desk / "shipped", SPECS["grey"])
    toy(tmp_path / "elsewhere" / "mine", SPECS["colour"])
    at = page("model")
    for typed in ("/no/such/folder", str(tmp_path / "elsewhere" / "mine")):
        at.text_input(key="model/folder").set_value(typed).run()
        next(b for b in at.button if b.label == "Open the folder").click().run()
        assert not at.exception
        assert bool(at.error) == (typed == "/no/such/folder")
    assert list(bench(at).own.values()) == ["Mine (yours)"]
    monkeypatch.setenv("LATENT_HOSTS", "example.org")
    assert not page("model").text_input


def test_the_newest_checkpoint_of_a_run_is_opened(desk):
    toy(desk / "shipped", SPECS["grey"])
    run = Run.create("mine", {})
    for step in ("000010", "000020"):
        toy(run.folder / "checkpoints" / step, SPECS["grey"])
    at = page("model")
    next(b for b in at.button if b.label == "Open its newest checkpoint").click().run()
    assert not at.exception
    assert bench(at).opened.folder.name == "000020"
    assert bench(at).key in bench(at).own


def test_what_was_unpacked_goes_with_its_visitor(monkeypatch):
    monkeypatch.setattr(opening.st, "session_state", {})
    visitor = Workbench()
    folder = opening.own_folder(visitor)
    assert folder.is_dir()
    del visitor
    gc.collect()
    assert not folder.exists()


def test_two_of_one_title_are_told_apart_in_the_picker(desk):
    toy(desk / "a" / "same", SPECS["grey"])
    toy(desk / "b" / "same", SPECS["grey"])
    visitor = Workbench()
    for folder in ("a", "b"):
        visitor.adopt(shelf.SHELF.open(desk / folder / "same"))
    assert list(visitor.own.values()) == ["Same (yours)", "Same (yours) 2"]


# -- what the pages ask


def test_a_dial_is_called_by_what_it_clearly_changes_and_by_that_only_once():
    correlation = np.array([[0.7, 0.1], [-0.9, 0.3], [0.2, 0.61], [0.5, 0.5]])
    found = wander.named(correlation, ["Smile", "Light"])
    assert found == {1: ("Smile", -1), 2: ("Light", 1)}


def test_dials_are_called_by_the_atlas_and_turn_the_way_they_say(desk):
    toy(desk / "toy", SPECS["colour"])
    opened = shelf.SHELF.open(desk / "toy")
    known = opened.atlas
    told = -known.latents[:, 2] + 0.01 * known.latents[:, 0]
    atlas.save(desk / "toy", dataclasses.replace(known, attributes={"smile": told}))
    cards.write_card(desk / "toy", cards.read_card(desk / "toy"))
    dials = wander.dials(shelf.SHELF[opened.key])
    assert [d.label for d in dials] == ["Dial 1", "Dial 2", "Smile", "Dial 4"]
    assert dials[2].direction.tolist() == [0, 0, -1, 0]


def test_the_spectrum_is_that_of_the_covariance():
    z = np.random.default_rng(3).standard_normal((20_000, 3)) * [3.0, 1.0, 2.0]
    assert np.allclose(diagnostics.spectrum(z), np.array([9, 4, 1]) / 14, atol=0.01)
    assert diagnostics.used(np.concatenate([z, np.zeros((20_000, 2))], 1)) == 3


def test_the_rates_of_a_linear_model_are_their_formula(linear):
    model = linear(latent=2)
    z = torch.zeros(1, 2, dtype=torch.float64)
    model.wrong = 1e-9  # a factorised q, whose KL has a share per coordinate
    q = model.encode(model.decode(z).mean)
    loc, scale = q.base_dist.loc[0], q.base_dist.scale[0]
    wanted = 0.5 * (scale**2 + loc**2 - 1) - scale.log()
    assert torch.allclose(diagnostics.rates(model, z), wanted)
