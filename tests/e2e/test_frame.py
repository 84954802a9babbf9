"""The frame in a real browser: every page opens, offline, without an error."""

from browsing import go
from playwright.sync_api import expect

from explorer.ui.menu import PAGES


def test_the_menu_leads_to_every_page(visit):
    tab = visit()
    for page in PAGES[1:]:
        go(tab, page.title)
        assert tab.get_by_test_id("stException").count() == 0
    go(tab, PAGES[0].title)


def test_an_address_leads_to_its_page_and_model(visit):
    tab = visit("map", model="digits")
    assert tab.get_by_test_id("stException").count() == 0
    expect(tab.get_by_role("combobox", name="Model")).to_have_value("Digits")
