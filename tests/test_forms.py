"""Any frozen dataclass becomes a form and comes back as an instance."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from streamlit.testing.v1 import AppTest

from explorer.models import FAMILIES
from explorer.ui.forms import form
from train.config import TrainConfig
from train.objectives import OBJECTIVES


@dataclass(frozen=True)
class Sample:
    count: int = field(default=3, metadata=dict(range=(1, 9), step=2, help="how many"))
    rate: float = field(default=1e-3, metadata=dict(range=(1e-6, 1), format="%.5f"))
    free: float = 0.0
    kind: Literal["plain", "fancy"] = "plain"
    loud: bool = False
    name: str = "as it was"
    table: dict[str, Any] = field(default_factory=lambda: {"kept": 1})


def page(start, key="f", only=None):
    """A page that is this form alone; what it returned lies in ``made``."""

    def script():
        import streamlit as st

        given = st.session_state["given"]
        st.session_state["made"] = given["form"](given["start"], given["key"], given["only"])

    at = AppTest.from_function(script)
    at.session_state["given"] = dict(form=form, start=start, key=key, only=only)
    at.run()
    assert not at.exception
    return at


CONFIGS = {
    "sample": Sample(),
    "train": TrainConfig(),
    **{name: family.Config() for name, family in FAMILIES.items()},
    **{name: objective() for name, objective in OBJECTIVES.items()},
}


@pytest.mark.parametrize("start", CONFIGS.values(), ids=CONFIGS)
def test_an_untouched_form_returns_what_it_started_from(start):
    assert page(start).session_state["made"] == start


def test_it_starts_from_the_instance_not_from_the_class():
    start = Sample(count=7, rate=0.5, kind="fancy", loud=True)
    assert page(start).session_state["made"] == start


def test_what_is_changed_comes_back_and_the_rest_stays():
    at = page(Sample())
    at.number_input(key="f/count").set_value(5)
    at.number_input(key="f/rate").set_value(0.01)
    at.selectbox(key="f/kind").select("fancy")
    at.toggle(key="f/loud").set_value(True)
    at.run()
    expected = dataclasses.replace(Sample(), count=5, rate=0.01, kind="fancy", loud=True)
    made = at.session_state["made"]
    assert made == expected
    assert type(made.count) is int
    assert type(made.rate) is float


def test_metadata_reaches_the_widget():
    at = page(Sample())
    count, rate = at.number_input(key="f/count"), at.number_input(key="f/rate")
    assert (count.min, count.max, count.step, count.help) == (1, 9, 2, "how many")
    assert (rate.min, rate.max) == (1e-6, 1.0)
    assert rate.proto.format == "%.5f"
    assert at.selectbox(key="f/kind").options == ["plain", "fancy"]


def test_a_click_on_plus_is_a_tenth_of_the_numbers_own_size():
    at = page(Sample(rate=2e-3))
    assert at.number_input(key="f/rate").step == pytest.approx(1e-4)


def test_only_the_fields_asked_for_are_shown():
    at = page(Sample(), only=("count",))
    assert [w.key for w in at.number_input] == ["f/count"]
    assert not at.toggle
    assert at.session_state["made"] == Sample()


def test_another_key_begins_anew_and_the_first_remembers():
    at = page(Sample())
    at.number_input(key="f/count").set_value(5).run()
    at.session_state["given"] = dict(form=form, start=Sample(count=9), key="g", only=None)
    at.run()
    assert at.session_state["made"].count == 9
    at.session_state["given"] = dict(form=form, start=Sample(), key="f", only=None)
    at.run()
    assert at.session_state["made"].count == 5
