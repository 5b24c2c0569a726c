"""The page in a browser, opened from disk: it works, it stays in its folder, and everybody can use it.

Needs Chromium or Chrome and chromedriver (Debian: chromium, chromium-driver); without them these tests are skipped.
"""

import json
import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from pages import written

from har.reporting.page import gallery

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/lib/chromium", os.environ.get("CHROMEWEBDRIVER", "")])
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars",
)  # fmt: skip
IMAGES = 120
VIEWS = ("", "#images?model=activity-clip&verdict=wrong", "#images?image={}&map=activity-clip")
TURN = """const [target, done] = arguments;
    const shown = () => (location.hash.startsWith("#images") ? har.gallery.show(false).then(() => done()) : done());
    if (location.hash === target) shown();
    else {
        addEventListener("hashchange", () => setTimeout(shown), { once: true });
        location.hash = target;
    }"""


class Page:
    def __init__(self, driver, made, index):
        self.driver, self.made, self.index = driver, made, index
        self.run, self.run_async = driver.execute_script, driver.execute_async_script

    def cold(self, address=""):
        self.driver.get("about:blank")
        self.driver.get(self.index.as_uri() + address)

    def go(self, address="#images"):
        """To `address`, its filters applied; the page is loaded once for all tests."""
        if not self.driver.current_url.startswith(self.index.as_uri()):
            self.cold()
        self.run_async(TURN, address)

    def view(self, view):
        self.go(view.format(self.made.manifest.image_id[4]))

    def wait(self, condition):
        """A machine may be busy with other tests."""
        return WebDriverWait(self.driver, 40, 0.02).until(lambda _: condition())

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def leaves(self, images):
        """Waits until the filters leave so many images."""
        self.wait(lambda: self.find("#count").text.split()[0] == f"{images:,}")

    def here(self):
        return self.run("return location.hash")

    def opened(self):
        return self.run("return document.getElementById('detail').open")

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def errors(self, *levels):
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] in levels]

    def command(self, name, **values):
        self.driver.execute_cdp_cmd(f"Emulation.{name}", values)

    def size(self, width, height):
        self.command("setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def media(self, scheme="light", kind=""):
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        values = [{"name": name, "value": value} for name, value in features.items()]
        self.command("setEmulatedMedia", media=kind, features=values)

    def right(self, model, task="activity"):
        """Per image whether the mean probability over runs is largest for its label."""
        frame = self.made.predictions[task, model]
        mean = frame.filter(like="p_").groupby(frame.image_id).mean()
        return mean.idxmax(axis=1).str[2:] == frame.groupby("image_id").label.first()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    binary = next(filter(None, (shutil.which(name, path=PLACES) for name in BROWSERS)), None)
    program = shutil.which("chromedriver", path=PLACES)
    if not binary or not program:
        # where continuous integration promises a browser, its absence must not pass for success
        stop = pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip
        stop("no Chromium or Chrome with chromedriver on PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(program))
    found.set_script_timeout(90)
    yield found
    found.quit()


@pytest.fixture(scope="module")
def small(driver, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "PART", 50)  # three, the last one smaller
        return Page(driver, *written(tmp_path_factory.mktemp("small"), IMAGES, patch))


@pytest.fixture
def page(small):
    small.size(1280, 900)
    small.media()
    return small


class TestFromDisk:
    def test_no_error_and_no_request_outside_the_folder(self, page):
        page.driver.get("about:blank")
        page.driver.get_log("performance")  # of the browser's own first page
        for view in VIEWS:
            page.view(view)
        page.wait(page.find("canvas.heat").is_displayed)
        assert not page.errors("SEVERE", "WARNING")
        logged = (json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance"))
        sent = [m["params"]["request"]["url"] for m in logged if m["method"] == "Network.requestWillBeSent"]
        root = page.index.parent.as_uri() + "/"
        assert any(url.startswith(f"{root}page/data/answers/") for url in sent)
        assert any(url.startswith(f"{root}page/maps/") for url in sent)
        assert not [url for url in sent if not url.startswith((root, "about:", "data:"))]

    def test_results_are_there_without_scripts(self, page):
        page.command("setScriptExecutionDisabled", value=True)
        try:
            page.cold()
            assert page.find("#table-7-three-activities").is_displayed()
        finally:
            page.command("setScriptExecutionDisabled", value=False)
            page.driver.get("about:blank")


class TestFilters:
    def test_each_narrows_and_the_address_holds_them(self, page):
        split, label = page.made.split.split, page.made.split.label
        page.go()
        page.leaves(IMAGES)
        for name, value, images in (
            ("split", "test", split == "test"),
            ("label", "sitting", (split == "test") & (label == "sitting")),
        ):
            Select(page.find(f"[name={name}]")).select_by_value(value)
            page.wait(lambda name=name, value=value: f"{name}={value}" in page.here())
            page.leaves(images.sum())
        page.driver.refresh()
        page.wait(lambda: page.find("#count").text.startswith(f"{images.sum()} of"))
        page.driver.back()
        page.leaves((split == "test").sum())
        assert Select(page.find("[name=label]")).first_selected_option.get_attribute("value") == ""

    def test_what_they_leave_is_what_the_frames_count(self, page):
        clip, probe = page.right("clip"), page.right("probe_clip")
        held_out = page.made.split.set_index("image_id").split.isin(["test", "extended"])
        for address, images in {
            "model=activity-clip&verdict=right": clip,
            "model=activity-clip&verdict=wrong": ~clip,
            "verdict=wrong": ~clip & ~probe,  # by every model; the majority class sees no picture
            "split=held_out&person_size=large": held_out & (page.made.factors[0]["of"] == 1),
        }.items():
            page.go(f"#images?{address}")
            page.leaves(images.sum())

    def test_the_confusion_counts_and_leads_to_its_images(self, page):
        page.go("#images?model=posture-clip")
        cells = page.all("#confusion td a")
        counts = [int(cell.find_element(By.TAG_NAME, "b").text) for cell in cells]
        right = page.right("clip", "posture")
        assert sum(counts) == len(right)
        assert counts[0] + counts[3] == right.sum()
        cells[1].click()
        page.leaves(counts[1])
        assert "label=sitting" in page.here()
        assert "says=standing" in page.here()

    def test_two_models_side_by_side(self, page):
        clip, probe = page.right("clip"), page.right("probe_clip")
        told = {"both": clip & probe, "first": clip & ~probe, "second": ~clip & probe, "neither": ~clip & ~probe}
        address = "#images?model=activity-clip&other=activity-probe_clip"
        page.go(address)
        counts = [int(cell.text) for cell in page.all("#confusion table:first-of-type b")[:4]]
        assert counts == [images.sum() for images in told.values()]
        assert len(page.all(".risk polyline")) == 2
        for verdict, images in told.items():
            page.go(f"{address}&verdict={verdict}")
            page.leaves(images.sum())

    def test_a_box_on_the_map(self, page):
        page.go("#images?box=0-0-100-100")
        page.leaves(IMAGES)
        page.run("document.getElementById('plane').open = true")
        page.find("#map").send_keys(Keys.ESCAPE)
        page.wait(lambda: page.here() == "#images")
        page.find("#map").send_keys(Keys.ARROW_LEFT)
        page.wait(lambda: "box=35-40-55-60" in page.here() and "of" in page.find("#count").text)

    def test_search_by_caption_and_id(self, page):
        for text, expected in {"Number 119": 1, "BENCH  view": IMAGES, "1007": 1, "zzz": 0}.items():
            page.go()
            page.find("#f-q").send_keys(text)
            page.wait(lambda text=text: text.split()[-1] in page.here())
            page.leaves(expected)
            assert page.find("#none").is_displayed() == (expected == 0)
            page.run("document.getElementById('f-q').blur()")

    def test_sorted_by_confidence(self, page):
        page.go("#images?model=activity-clip&split=test&sort=confident")
        sure = [float(card.text.split(",")[0].split()[-1]) for card in page.all(".card .verdict")]
        assert len(sure) > 3
        assert sure == sorted(sure, reverse=True)

    def test_what_the_address_does_not_know_is_left_out(self, page):
        page.errors()
        page.go("#images?split=moon&model=__proto__&label=%3Cb%3E&sort=toString&image=nonsense")
        page.leaves(IMAGES)
        assert not page.opened()
        assert not page.errors("SEVERE")


class TestOneImage:
    def test_closing_goes_back_to_where_it_was_opened(self, page):
        page.go()
        page.go("#images?split=test")
        page.find(".card").click()
        page.wait(page.opened)
        first = page.made.split.image_id[page.made.split.split == "test"].iloc[0]
        assert f"image={first}" in page.here()
        assert page.find("#detail-title").text == f"Image {first}"
        page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ESCAPE)
        page.wait(lambda: not page.opened())
        assert page.here() == "#images?split=test"
        page.driver.back()
        page.wait(lambda: page.here() == "#images")
        assert not page.opened()

    def test_it_tells_each_run_of_each_model_and_captions_stay_text(self, page):
        image_id = page.made.predictions["posture", "clip"].image_id[0]
        page.go(f"#images?image={image_id}")
        page.wait(page.opened)
        assert not page.find("canvas.heat").is_displayed()  # unless asked for
        rows = page.all(".answers tbody tr")
        assert [len(row.find_elements(By.CSS_SELECTOR, ".runs li")) for row in rows] == [5, 1, 1, 5]
        frame = page.made.predictions["activity", "probe_clip"].set_index("image_id").loc[image_id]
        told = rows[1].find_element(By.CSS_SELECTOR, ".runs li").get_attribute("title")
        assert f"sitting {frame.p_sitting:.2f}" in told
        assert page.find(".facts-list").text.count("\n") >= 9
        assert any("<img src=x onerror=" in item.text for item in page.all(".captions li"))
        assert page.run("return globalThis.broken") is None

    def test_an_image_without_captions_tells_of_none(self, page):
        page.go()
        page.run("""const { about } = har.gallery;
            har.gallery.about = async (i) => ({ ...await about(i), captions: [], mentions: [] })""")
        page.go(f"#images?image={page.made.manifest.image_id[4]}")
        page.wait(page.opened)
        assert "Licence" in page.find("#detail").text
        assert "aption" not in page.find("#detail").text
        page.driver.get("about:blank")  # others see the page as it is

    def test_a_map_is_drawn_where_the_model_looks(self, page):
        image_id = page.made.predictions["activity", "clip"].image_id[0]
        page.go(f"#images?image={image_id}&map=activity-clip&class=standing&opacity=40")
        canvas = page.wait(lambda: page.find("canvas.heat"))
        page.wait(canvas.is_displayed)
        inner, outer = canvas.rect, page.find(".photo").rect
        # 64 x 48, the centre square's middle half: 24 of 64 wide, 24 of 48 high
        assert inner["width"] / outer["width"] == pytest.approx(24 / 64, abs=0.01)
        assert inner["height"] / outer["height"] == pytest.approx(24 / 48, abs=0.01)
        assert inner["x"] - outer["x"] == pytest.approx(outer["width"] * 20 / 64, abs=1)
        assert canvas.value_of_css_property("opacity") == "0.4"
        pixels = """const c = document.querySelector('canvas.heat');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            const at = (x, y) => d[4 * (y * c.width + x)];
            return [at(2, 2), at(c.width - 3, c.height - 3)]"""
        standing = page.run(pixels)
        assert standing[0] < standing[1]  # the made-up grid grows to the lower right
        page.find(".choices input").click()
        page.wait(lambda: page.run(pixels) != standing)
        page.wait(lambda: "class=walking_running" in page.here())


class TestKeyboard:
    @pytest.mark.parametrize("view", ["", "#images"])
    def test_skip_to_the_content_stays_in_the_view(self, page, view):
        page.go(view)
        page.run("document.querySelector('.skip').focus()")  # out of sight until then
        page.press(Keys.ENTER)
        assert page.driver.switch_to.active_element.get_attribute("id") == "content"
        assert page.here() == view

    def test_search_move_open_and_close(self, page):
        page.go("")
        page.press("/")
        page.wait(lambda: page.driver.switch_to.active_element.get_attribute("id") == "f-q")
        page.press("bench")
        page.wait(lambda: "q=bench" in page.here())
        page.leaves(IMAGES)
        page.run("document.querySelector('.card').focus()")
        page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT)
        columns = page.run(
            "const t = [...document.querySelectorAll('.grid li')].map(l => l.getBoundingClientRect().top);"
            "return t.filter(y => y === t[0]).length"
        )
        position = "return document.activeElement.dataset.position"
        assert page.run(position) == str(columns)
        page.press(Keys.ENTER)
        page.wait(page.opened)
        title = "return document.getElementById('detail-title')?.textContent"
        before = page.run(title)
        page.press(Keys.ARROW_RIGHT)
        page.wait(lambda: page.run(title) != before)
        page.press(Keys.ESCAPE)
        page.wait(lambda: page.run(position) == str(columns + 1))
        assert not page.opened()

    def test_focus_can_be_seen(self, page):
        page.cold()
        page.press(Keys.TAB)
        focused = page.driver.switch_to.active_element
        assert focused.text == "Skip to the content"
        assert focused.value_of_css_property("outline-style") == "solid"


class TestResults:
    def test_a_column_sorts_both_ways(self, page):
        page.go("#table-7-three-activities")
        column = """const table = document.querySelector("#table-7-three-activities table");
            const head = table.tHead.rows[0].cells[3];
            head.querySelector("button").click();
            return [head.ariaSort, [...table.tBodies[0].rows].map((row) => row.cells[3].textContent)]"""
        assert page.run(column) == ["descending", ["0.710", "0.401", "−0.400"]]
        assert page.run(column) == ["ascending", ["−0.400", "0.401", "0.710"]]

    def test_a_chart_tells_its_numbers_and_leads_to_the_errors(self, page):
        page.go("")
        page.run("document.querySelector('#chart-activity ol a').focus()")
        assert "0.620 [0.590, 0.650]" in page.find("#chart-activity .readout").text
        page.press(Keys.ENTER)
        page.wait(lambda: page.here() == "#images?model=activity-clip&split=held_out&verdict=wrong")


SHIFT = """const done = arguments[0], seen = [];
    new PerformanceObserver((list) => seen.push(...list.getEntries())).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(seen.reduce((sum, entry) => sum + entry.value, 0)), 100);"""


@pytest.mark.parametrize("width", [1440, 390])
def test_a_cold_link_rests_on_its_target_and_nothing_moves(page, width):
    page.size(width, 844)
    for anchor in ("#the-papers-experiments", "#more-figures"):  # below the chart, and below tables and figures
        page.cold(anchor)
        assert page.run_async(SHIFT) < 0.1
        places = """const root = document.documentElement;
            return [document.querySelector(arguments[0]).getBoundingClientRect().top,
                parseFloat(getComputedStyle(root).scrollPaddingTop)]"""
        top, rest = page.run(places, anchor)
        assert abs(top - rest) <= 8


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_serious_keeps_anybody_out(page, view):
    try:
        package = distribution("axe-playwright-python")
    except PackageNotFoundError:
        pytest.skip("axe-playwright-python, which holds axe-core, is not installed")
    page.view(view)
    axe = package.locate_file("axe_playwright_python/axe.min.js").read_text(encoding="utf-8")
    page.run(f"if (!globalThis.axe) {{ {axe} }}")
    script = """const [options, done] = arguments;
        axe.run(options).then(done, (error) => done({violations: [{id: String(error), nodes: []}], passes: []}))"""
    # dark mode changes colours alone
    for scheme, options in {"light": {}, "dark": {"runOnly": ["color-contrast"]}}.items():
        page.media(scheme)
        found = page.run_async(script, options | {"resultTypes": ["violations"]})
        assert found["passes"]
        serious = [
            (v["id"], [node["html"][:160] for node in v["nodes"][:3]])
            for v in found["violations"]
            if v.get("impact") in ("serious", "critical", None)
        ]
        assert not serious, scheme


def test_a_phone_opens_the_contents_and_keeps_the_first_column(page):
    page.size(390, 844)
    page.go("")
    menu = page.find("#contents")
    assert not menu.is_displayed()
    page.find("button[popovertarget]").click()
    page.wait(menu.is_displayed)
    menu.find_element(By.TAG_NAME, "a").click()
    page.wait(lambda: not menu.is_displayed())
    page.go("#images")  # whose sections the menu does not tell
    assert not page.find(".bar button").is_displayed()
    page.go("")
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    cells = """const table = document.querySelector(".table:has(thead th:nth-child(13))");
        table.scrollLeft = 200;
        return [...table.querySelectorAll('thead th:first-child, tbody tr:first-child th')]
            .map((cell) => cell.getBoundingClientRect().left - table.getBoundingClientRect().left)"""
    assert page.run(cells) == [0, 0]
    sizes = """return [...document.querySelectorAll('#results *')].filter((one) => one.checkVisibility()
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
        .map((one) => parseFloat(getComputedStyle(one).fontSize))"""
    assert min(page.run(sizes)) >= 12


def test_a_phone_never_scrolls_sideways(page):
    page.size(360, 740)
    for view in VIEWS:
        page.view(view)
        widths = """const d = document.getElementById('detail');
            return [document.documentElement.scrollWidth, d.scrollWidth]"""
        assert max(page.run(widths)) <= 360, view


def test_print_cuts_no_column_and_no_row(page):
    page.size(717, 1046)  # A4 between Chromium's margins
    page.go("")
    page.media(kind="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    wide = """return [...document.querySelectorAll('.sections :is(table, td, img, .chart, .funnel)')]
        .filter((one) => one.getBoundingClientRect().right > 717 || !one.getBoundingClientRect().height).length"""
    assert page.run("return document.querySelectorAll('.sections tbody tr').length") > 40
    assert not page.run(wide)


@pytest.mark.slow
def test_five_thousand_images_hold_few_elements(driver, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        page = Page(driver, *written(tmp_path, 5000, patch))
    page.size(1280, 900)
    page.go()
    page.leaves(5000)
    items = "return document.querySelectorAll('#grid li').length"
    assert 5 < page.run(items) < 120
    page.run("scrollTo(0, document.documentElement.scrollHeight)")
    last = f"a[href*='image={page.made.manifest.image_id.iloc[-1]}']"
    page.wait(lambda: page.all(last))
    assert page.run(items) < 120
