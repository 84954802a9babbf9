"""Morph, Attributes and Inpaint without a browser: what a visitor asks is what comes out."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import streamlit as st
from pictures import encoded, scene
from PIL import Image
from streamlit.testing.v1 import AppTest
from test_app import MAIN, SPECS, desk, toy  # noqa: F401

from explorer import cards, images, ops, quadrants
from explorer.inpainting import INPAINTERS
from explorer.shelf import SHELF
from explorer.spec import DataSpec
from explorer.ui import bring, cache, components, framing, moves, photo, show
from explorer.ui.components import Rested

RED, BLUE = (Image.new("RGB", (40, 40), colour) for colour in ("#d04030", "#3050c0"))


@pytest.fixture
def opened(desk):  # noqa: F811
    """Opens a page of the app on an untrained model: ``opened("morph", "colour")``."""

    def at_page(name, kind):
        toy(desk / "toy", SPECS[kind])
        at = AppTest.from_file(str(MAIN), default_timeout=60).run()
        return at.switch_page(f"tools/{name}.py").run()

    return at_page


@pytest.fixture
def parts(monkeypatch):
    """Stands for the browser: what each part was last shown, and what it answers."""
    seen, answers = {}, {"stage": Rested()}

    def standing_for(name):
        def part(key, *args, **more):
            seen[name] = (args, more)
            st.session_state.setdefault(key, None)  # as of a part that is on the page
            return answers.get(name)

        monkeypatch.setattr(components, name, part)

    for name in ("film", "stage", "brush"):
        standing_for(name)
    return seen, answers


def upload(at, page, *files):
    """Uploads pictures, or bytes that are none, as one does who chooses several at once."""
    files = [f if isinstance(f, bytes) else encoded(f, "PNG") for f in files]
    box = at.get_by_key(f"{page}/upload/{at.session_state[f'{page}/asked']}")
    box.set_value([(f"{k}.png", raw, "image/png") for k, raw in enumerate(files)])
    return at.run()


def quiet(at):
    assert not at.exception
    assert not at.error
    return at


def framed(image, model="toy"):
    """A picture as that model sees it ``(1, C, H, W)``, and what it draws of it."""
    x = images.prepare(image, SHELF[model].model.data)
    return x, cache.drawn(SHELF[model], cache.latent(SHELF[model], x))


# --- bringing pictures ----------------------------------------------------------------------


def test_a_film_leads_from_one_uploaded_picture_to_the_other(opened, parts):
    at = quiet(upload(opened("morph", "colour"), "morph", RED, BLUE))
    frames = parts[0]["film"][0][0]
    assert (frames[0] == framed(RED)[1][0]).all()
    assert (frames[-1] == framed(BLUE)[1][0]).all()
    assert [o.title for o in at.session_state["brought"]] == ["0.png", "1.png"]


def test_what_is_no_picture_is_refused_and_the_others_stay(opened, parts):
    at = upload(opened("morph", "colour"), "morph", RED, b"%PDF-1.7 a letter", BLUE)
    assert not at.exception
    assert any("1.png" in e.value and "PDF" in e.value for e in at.error)
    assert [o.title for o in at.session_state["brought"]] == ["0.png", "2.png"]
    quiet(at.run())
    assert len(at.session_state["brought"]) == 2


def test_more_pictures_make_room_for_themselves_and_leave_when_told(opened, parts):
    at = quiet(upload(opened("morph", "colour"), "morph", RED, BLUE, scene()))
    assert at.session_state["morph/count"] == 3
    quiet(at.button(key="morph/remove/1").click().run())
    assert [o.title for o in at.session_state["brought"]] == ["0.png", "2.png"]


def test_pictures_come_along_to_the_next_page_and_to_nobody_else(opened, parts):
    at = upload(opened("morph", "colour"), "morph", RED)
    quiet(at.switch_page("tools/inpaint.py").run())
    assert "0.png" in at.get_by_key("inpaint/which").options
    other = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert "brought" not in other.switch_page("tools/play.py").run().session_state


def test_what_is_uploaded_goes_into_no_shared_cache(opened, parts, monkeypatch):
    at, kept = opened("morph", "colour"), []
    monkeypatch.setattr(cache, "_pixels", lambda *a: kept.append(a))
    quiet(upload(at, "morph", RED, BLUE))
    assert not kept


def test_a_picture_unlike_all_that_is_known_is_told_so(opened, parts):
    at = quiet(upload(opened("morph", "colour"), "morph", Image.new("RGB", (9, 9), "white")))
    x, redrawn = framed(Image.new("RGB", (9, 9), "white"))
    assert cache.worse_than(SHELF["toy"], x, redrawn)[0] > bring.DOUBTFUL
    assert any("does not look like" in c.value for c in at.caption)


def test_another_sample_is_another_one_and_repeats_for_whoever_asks_the_same(opened, parts):
    at = opened("morph", "colour")
    first = parts[0]["film"][0][0]
    at.button(key="morph/another/0").click().run()
    second = parts[0]["film"][0][0]
    assert (first[0] != second[0]).any()
    assert (first[-1] == second[-1]).all()


def test_a_drawing_is_framed_as_the_data_are(opened, parts):
    at = opened("morph", "grey")
    at.get_by_key("morph/way").set_value("Draw").run()
    assert at.button(key="morph/draw/0/use").disabled
    ink = np.zeros(bring.PAD, bool)
    ink[20:90, 50:60] = True
    parts[1]["brush"] = ink
    at.run()
    quiet(at.button(key="morph/draw/0/use").click().run())
    assert [o.title for o in at.session_state["brought"]] == ["Drawing"]
    first = parts[0]["film"][0][0][0]
    assert (first == framed(images.from_ink(ink))[1][0]).all()


# --- morph ----------------------------------------------------------------------------------


def test_a_loop_ends_where_it_began_and_a_longer_way_begins_before_it(opened, parts):
    at = opened("morph", "colour")
    there = parts[0]["film"][0][0]
    at.toggle(key="morph/loop").set_value(True).run()
    round_trip = parts[0]["film"][0][0]
    assert (round_trip[0] == round_trip[-1]).all()
    at.toggle(key="morph/loop").set_value(False).run()
    at.slider(key="morph/beyond").set_value(50).run()
    beyond = parts[0]["film"][0][0]
    assert len(beyond) == len(there)
    assert (beyond[0] != there[0]).any()
    quiet(at)


def test_three_pictures_make_a_square(opened, parts):
    at = opened("morph", "colour")
    at.get_by_key("morph/count").set_value(3).run()
    parts[0].clear()
    quiet(at.get_by_key("morph/shape").set_value("Square").run())
    assert "film" not in parts[0]
    assert any("upper right" in c.value for c in at.caption)


# --- attributes -----------------------------------------------------------------------------


def test_dials_stand_in_the_attributes_order_and_what_they_do_is_told(opened, parts):
    at = quiet(opened("attributes", "colour"))
    assert [a.label for a in parts[0]["stage"][1]["surface"].axes] == ["Smile", "Turn"]
    assert not at.get("plotly_chart")
    z = parts[0]["stage"][1]["origin"]
    turned = np.array([1.0, 0.0], np.float32)
    parts[1]["stage"] = Rested(z + np.eye(4, dtype=np.float32)[0], turned)
    quiet(at.run())
    assert at.get("plotly_chart")


def test_a_kept_picture_is_the_current_one_and_its_dials_begin_at_nought(opened, parts):
    at = opened("attributes", "colour")
    z = parts[0]["stage"][1]["origin"] + np.float32(0.5)
    parts[1]["stage"] = Rested(z, np.array([1.0, 0.0], np.float32))
    at.run()
    parts[1]["stage"] = Rested()
    quiet(at.button(key="attributes/keep").click().run())
    assert (at.session_state["workbench"].z == z).all()
    assert (parts[0]["stage"][1]["origin"] == z).all()
    assert parts[0]["stage"][1]["surface"].values == (0.0, 0.0)


def test_a_grid_of_two_has_the_picture_in_its_middle(opened, parts):
    at = opened("attributes", "colour")
    quiet(at.get_by_key("attributes/view").set_value("Grid of two").run())
    assert at.selectbox(key="attributes/across").value == "Smile"


def test_groups_and_examples_say_how_to_begin(opened, parts):
    at = opened("attributes", "grey")
    for source in ("My groups", "My examples"):
        at.get_by_key("attributes/source/toy").set_value(source).run()
        quiet(at)
        assert len(at.info[0].value) > 40
        assert ["Current picture"] in [
            i.captions for i in at.get("image")
        ]  # the picture itself does not go away


def test_what_dials_do_changes_with_the_revision_alone(opened, parts, monkeypatch):
    def weaker(move, held):
        return replace(move, direction=move.direction / 2) if held else move

    monkeypatch.setattr(moves, "holding", weaker)
    at = opened("attributes", "colour")
    z, turned = parts[0]["stage"][1]["origin"], np.array([1.0, 0.0], np.float32)
    smile, _ = (a.direction for a in parts[0]["stage"][1]["surface"].axes)
    before = parts[0]["stage"][1]["revision"]
    parts[1]["stage"] = Rested(z + smile, turned)
    quiet(at.run())
    assert parts[0]["stage"][1]["revision"] == before
    parts[1]["stage"] = Rested()
    quiet(at.get_by_key("attributes/fixed/Learned").set_value(["Turn"]).run())
    shown = parts[0]["stage"][1]
    assert (shown["surface"].axes[0].direction != smile).any()
    assert shown["revision"] != before
    assert shown["surface"].values == (1.0, 0.0)  # the dial stands where it was
    assert np.allclose(shown["origin"], z, atol=1e-6)


@pytest.fixture
def known(desk):  # noqa: F811
    toy(desk / "known", SPECS["grey"])
    return SHELF["known"].atlas


def test_a_kind_is_reached_after_one_whole_step(known):
    names = SPECS["grey"].classes
    means = {n: known.latents[known.labels == k].mean(0) for k, n in enumerate(names)}
    for move in moves.between_classes(known, names, known.latents[0]):
        home, _, target = move.label.partition(" → ")
        assert home == names[int(known.labels[0])]
        assert np.allclose(means[home] + move.direction, means[target], atol=1e-6)


def test_a_move_changes_its_own_reading_by_one(known):
    group = moves.towards_groups(known, {"first": np.arange(60) < 20})
    kinds = moves.between_classes(known, SPECS["grey"].classes, known.latents[0])
    for k, move in enumerate(offered := group + kinds):
        assert moves.effects(offered, move.direction)[k] == pytest.approx(1)
        assert moves.effects(offered, -2 * move.direction)[k] == pytest.approx(-2)


def test_what_is_held_fixed_does_not_change_and_the_move_stays_as_strong(known):
    offered = moves.between_classes(known, SPECS["grey"].classes, known.latents[0])
    held = moves.holding(offered[0], offered[1:])
    strength, *others = moves.effects(offered, held.direction)
    assert others == pytest.approx([0] * len(others), abs=1e-4)
    assert 0 < strength <= 1 + 1e-4


def test_nothing_is_left_of_a_move_that_is_to_change_nothing(known):
    (move,) = moves.towards_groups(known, {"some": np.arange(60) < 20})
    held = ops.holding(move.direction, move.reading, move.reading[None])
    assert held @ move.reading == pytest.approx(0, abs=1e-5)
    assert np.linalg.norm(held) <= 3 * np.linalg.norm(move.direction)


def test_examples_with_and_without_become_a_move(known):
    has, lacks = known.latents[:5], known.latents[5:8]
    move = moves.from_examples(known, has, lacks)
    assert np.allclose(move.direction, has.mean(0) - lacks.mean(0))


# --- inpaint --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Three answers of every method are enough to see what a page does with them."""
    for name, method in INPAINTERS.items():
        monkeypatch.setitem(INPAINTERS, name, lambda *a, f=method: islice(f(*a), 3))


def test_until_something_is_painted_the_page_says_what_to_do(opened, parts):
    at = quiet(opened("inpaint", "colour"))
    assert "Paint" in at.info[0].value


@pytest.mark.parametrize(
    ("kind", "method"), [*(("grey", m) for m in INPAINTERS), ("colour", "gibbs")]
)
def test_guesses_leave_what_is_visible_as_it_was(opened, parts, kind, method):
    at = opened("inpaint", kind)
    painted = np.zeros((SPECS[kind].height, SPECS[kind].width), bool)
    painted[: len(painted) // 2] = True
    parts[1]["brush"] = painted
    at.get_by_key("inpaint/method").set_value(method)
    quiet(at.run())
    work = at.session_state["inpaint/work"]
    shown = parts[0]["brush"][0][0]
    assert work.done
    assert len(work.answer.pictures) == 6
    guesses = images.to_pixels(work.answer.pictures)
    assert (guesses[:, ~painted] == shown[~painted]).all()
    assert (guesses[:, painted] != shown[painted]).any()

    quiet(at.run())
    assert at.session_state["inpaint/work"] is work  # the same question is not worked on twice
    quiet(at.button(key="inpaint/more").click().run())
    assert at.session_state["inpaint/work"] is not work


def test_a_guess_can_be_taken(opened, parts):
    at = opened("inpaint", "colour")
    parts[1]["brush"] = np.eye(16, dtype=bool)
    quiet(at.run())
    work = at.session_state["inpaint/work"]
    latents, guesses = work.answer.latents, images.to_pixels(work.pictures)
    before = parts[0]["brush"][0][0]
    quiet(at.button(key="inpaint/take/2").click().run())
    assert np.allclose(at.session_state["workbench"].z, latents[2].numpy())
    after = parts[0]["brush"][0][0]  # what can be painted on now
    assert (after == guesses[2]).all()
    seen = ~np.eye(16, dtype=bool)
    assert (after[seen] == before[seen]).all()


def test_what_was_taken_is_framed_already():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    own = framing.Own("Inpainted", Image.fromarray(pixels), framed=True)
    x = framing.prepared(own, DataSpec("faces", 3, 64, 64))
    assert (images.to_pixels(x)[0] == pixels).all()
    assert not own.eyes  # no face was looked for


# --- one's own photograph --------------------------------------------------------------------


def test_a_photograph_is_looked_at_closer_and_the_closer_likeness_is_kept(
    opened, parts, monkeypatch
):
    monkeypatch.setattr(photo, "STEPS", 40)
    at = quiet(upload(opened("attributes", "colour"), "attributes", scene()))
    own = at.session_state["brought"][0]
    x, first = framed(scene())
    quiet(at.button(key="attributes/0.png/refine").click().run())
    z = own.latent(SHELF["toy"])
    assert z is not None
    closer = cache.drawn(SHELF["toy"], z[None])

    def off(drawn):
        return np.square(images.to_pixels(x) - drawn.astype(float)).mean()

    assert off(closer) < off(first)
    assert at.button(key="attributes/0.png/refine").label == "Look closer again"
    own.points[SPECS["colour"].name] = (0j, 5 + 0j)  # another frame is another picture
    assert own.latent(SHELF["toy"]) is None


def test_a_photograph_keeps_its_pixels_unless_one_wants_the_models(opened, parts):
    at = quiet(upload(opened("attributes", "colour"), "attributes", scene()))
    assert any("kept sharp" in m.value for m in at.markdown)
    own, now = at.session_state["brought"][0], SHELF["toy"]
    z = cache.latent(now, framed(scene())[0])[0]
    same = photo.picture(own, now, z, z, keep=True)
    times = same.shape[0] // now.data.height
    large = replace(now.data, height=times * now.data.height, width=times * now.data.width)
    assert (same == images.to_pixels(images.prepare(scene(), large))[0]).all()
    drawn = photo.picture(own, now, z, z, keep=False)
    assert drawn.shape == same.shape
    assert (drawn != same).any()
    at.get_by_key("photo/shown").set_value(photo.MODEL)
    quiet(at.run())


def test_the_current_picture_is_no_photograph(opened, parts):
    at = quiet(opened("attributes", "colour"))
    assert not any("kept sharp" in m.value for m in at.markdown)


# --- from quadrants -------------------------------------------------------------------------


def test_a_model_with_quadrants_completes_the_picture_in_hand_in_several_ways(
    opened, parts, monkeypatch
):
    strips = []
    monkeypatch.setattr(show, "strip", lambda pixels, *a, **k: strips.append(pixels))
    opened("inpaint", "grey")
    folder = SHELF["toy"].folder
    card = cards.read_card(folder)
    quadrants.save(folder, quadrants.Quadrants(card.data, 16), card)
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    at = quiet(at.switch_page("tools/inpaint.py").run())
    (given, guess, whole), drawn = strips[-2], strips[-1]
    assert (given[4:, :4] == whole[4:, :4]).all()
    assert (given[:4] == 128).all()
    assert (guess[4:, :4] == whole[4:, :4]).all()
    assert (drawn[:, 4:, :4] == whole[4:, :4]).all()
    assert (drawn[0] != drawn[1]).any()
    quiet(at.button(key="quadrants/again").click().run())
    assert (strips[-1] != drawn).any()
    quiet(at.get_by_key("quadrants/given").set_value(3).run())
    assert (strips[-1][:, :4] == whole[:4]).all()


def test_a_model_without_them_says_nothing_of_them(opened, parts):
    at = quiet(opened("inpaint", "grey"))
    assert not [b for b in at.button if b.key == "quadrants/again"]
