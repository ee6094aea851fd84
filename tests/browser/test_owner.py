"""A study's owner in a real browser: a study from uploads, rated, seen on the dashboard, and taken home as a zip that is restored."""

import pytest
from playwright.sync_api import Page, expect

from annotations import open_annotations
from annotations.studies.archive import restore_archive
from annotations.studies.report import make_report
from annotations.studies.study import Study
from tests.browser.steps import IMAGES, open_tab, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_study_from_uploads_to_its_zip(page: Page, server, tmp_path):
    images = sorted(IMAGES.glob("*.jpg"))[:4]
    open_tab(page, "Studies")
    page.locator("#owner-new").click()
    expect(page.locator("#owner-yaml")).to_be_visible()
    upload(page, "owner-files", *images)
    expect(page.locator("#owner-images")).to_contain_text("4 images are here")
    page.locator("#owner-study").get_by_role("textbox").press_sequentially("in-a-browser")
    expect(page.locator("#owner-yaml")).to_contain_text("study: in-a-browser")
    page.locator("#owner-keep").click()
    expect(page.locator("#owner-list")).to_contain_text("in-a-browser")
    page.locator("#owner-open").click()
    row = page.locator("#owner-list tr", has_text="in-a-browser")  # beside studies of other tests
    expect(row.locator(".state.open")).to_be_visible()

    study = Study(server.data, "in-a-browser")
    for rater, more in (("Ann", 0), ("Bob", 1)):
        while showing := study.show_next(rater, browser=rater):
            study.rate(showing.key, 1 + more + int(showing.sha256[0], 16) % 4, browser=rater)
    expect(page.locator("#owner-facts")).to_contain_text("Krippendorff")
    expect(page.locator("#owner-mos .js-plotly-plot")).to_be_visible()
    page.get_by_role("tab", name="Raters", exact=True).click()
    expect(page.locator("#owner-raters")).to_contain_text("Ann")

    page.get_by_role("tab", name="Files", exact=True).click()
    page.get_by_label("All of it").check()
    page.locator("#owner-make").click()
    with page.expect_download() as download:
        page.locator("#owner-download a").first.click()
    download.value.save_as(tmp_path / "study.zip")
    open_annotations(tmp_path / "data")
    assert restore_archive(tmp_path / "data", tmp_path / "study.zip") == "in-a-browser"
    assert make_report(tmp_path / "data", "in-a-browser") == make_report(server.data, "in-a-browser")
