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
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "PART", 50)  # three, the last one smaller
        return written(tmp_path_factory.mktemp("small"), IMAGES, patch)


@pytest.fixture(autouse=True)
def desktop(driver):
    size(driver, 1280, 900)
    media(driver)


def size(driver, width, height):
    values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)


def media(driver, scheme="light", kind=""):
    features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    values = [{"name": name, "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": values})


def cold(driver, page, address=""):
    driver.get("about:blank")
    driver.get(page.as_uri() + address)


TURN = """const [target, done] = arguments;
    const shown = () => (location.hash.startsWith("#images") ? har.gallery.show(false).then(() => done()) : done());
    if (location.hash === target) shown();
    else {
        addEventListener("hashchange", () => setTimeout(shown), { once: true });
        location.hash = target;
    }"""


def go(driver, page, address="#images"):
    """The page at `address`, its filters applied; it is loaded once for all tests."""
    if not driver.current_url.startswith(page.as_uri()):
        cold(driver, page)
    driver.execute_async_script(TURN, address)


def wait(driver, condition, seconds=40):  # a machine may be busy with other tests
    return WebDriverWait(driver, seconds, 0.02).until(lambda _: condition())


def leaves(driver, images):
    """Waits until the filters leave so many images."""
    wait(driver, lambda: driver.find_element(By.ID, "count").text.split()[0] == f"{images:,}")


def here(driver):
    return driver.execute_script("return location.hash")


def opened(driver):
    return driver.execute_script("return document.getElementById('detail').open")


def press(driver, *keys):
    webdriver.ActionChains(driver).send_keys(*keys).perform()


def choose(driver, name, value):
    Select(driver.find_element(By.NAME, name)).select_by_value(value)
    wait(driver, lambda: f"{name}={value}" in here(driver))


def ensemble_right(frame):
    """Per image whether the mean probability over runs is largest for its label."""
    names = [column for column in frame.columns if column.startswith("p_")]
    mean = frame.groupby("image_id")[names].mean()
    labels = frame.groupby("image_id").label.first()
    return {i: names[mean.loc[i].to_numpy().argmax()][2:] == labels[i] for i in mean.index}


class TestFromDisk:
    def test_no_error_and_no_request_outside_the_folder(self, driver, small):
        made, page = small
        driver.get("about:blank")
        driver.get_log("performance")  # of the browser's own first page
        for view in VIEWS:
            go(driver, page, view.format(made.manifest.image_id[4]))
        wait(driver, driver.find_element(By.CSS_SELECTOR, "canvas.heat").is_displayed)
        errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        assert not errors
        logged = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
        sent = [m["params"]["request"]["url"] for m in logged if m["method"] == "Network.requestWillBeSent"]
        root = page.parent.as_uri() + "/"
        assert any(url.startswith(f"{root}page/data/answers/") for url in sent)
        assert any(url.startswith(f"{root}page/maps/") for url in sent)
        assert not [url for url in sent if not url.startswith((root, "about:", "data:"))]

    def test_results_are_there_without_scripts(self, driver, small):
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            cold(driver, small[1])
            assert driver.find_element(By.ID, "table-7-three-activities").is_displayed()
        finally:
            driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
            driver.get("about:blank")


class TestFilters:
    def test_each_narrows_and_the_address_holds_them(self, driver, small):
        made, page = small
        go(driver, page)
        leaves(driver, IMAGES)
        choose(driver, "split", "test")
        leaves(driver, (made.split.split == "test").sum())
        choose(driver, "label", "sitting")
        expected = ((made.split.split == "test") & (made.split.label == "sitting")).sum()
        leaves(driver, expected)
        driver.refresh()
        wait(driver, lambda: driver.find_element(By.ID, "count").text.startswith(f"{expected} of"))
        driver.back()
        leaves(driver, (made.split.split == "test").sum())
        assert Select(driver.find_element(By.NAME, "label")).first_selected_option.get_attribute("value") == ""

    def test_right_and_wrong_are_by_the_ensemble_of_the_runs(self, driver, small):
        made, page = small
        verdicts = ensemble_right(made.predictions["activity", "clip"])
        for verdict, expected in (("right", sum(verdicts.values())), ("wrong", len(verdicts) - sum(verdicts.values()))):
            go(driver, page, f"#images?model=activity-clip&verdict={verdict}")
            leaves(driver, expected)

    def test_no_model_right_counts_what_the_tables_count(self, driver, small):
        made, page = small
        a, b = (ensemble_right(made.predictions["activity", model]) for model in ("clip", "probe_clip"))
        go(driver, page, "#images?verdict=wrong")  # the majority class sees no picture
        leaves(driver, sum(not a[i] and not b[i] for i in a))

    def test_the_confusion_counts_and_leads_to_its_images(self, driver, small):
        made, page = small
        go(driver, page, "#images?model=posture-clip")
        cells = driver.find_elements(By.CSS_SELECTOR, "#confusion td a")
        counts = [int(cell.find_element(By.TAG_NAME, "b").text) for cell in cells]
        verdicts = ensemble_right(made.predictions["posture", "clip"])
        assert sum(counts) == len(verdicts)
        assert counts[0] + counts[3] == sum(verdicts.values())
        cells[1].click()
        leaves(driver, counts[1])
        assert "label=sitting" in here(driver)
        assert "says=standing" in here(driver)

    def test_two_models_side_by_side(self, driver, small):
        made, page = small
        a, b = (ensemble_right(made.predictions["activity", model]) for model in ("clip", "probe_clip"))
        expected = {
            "both": sum(a[i] and b[i] for i in a),
            "first": sum(a[i] and not b[i] for i in a),
            "second": sum(b[i] and not a[i] for i in a),
            "neither": sum(not a[i] and not b[i] for i in a),
        }
        address = "#images?model=activity-clip&other=activity-probe_clip"
        go(driver, page, address)
        tables = driver.find_elements(By.CSS_SELECTOR, "#confusion table")
        assert [int(cell.text) for cell in tables[0].find_elements(By.TAG_NAME, "b")] == list(expected.values())
        assert len(driver.find_elements(By.CSS_SELECTOR, ".risk polyline")) == 2
        for verdict, images in expected.items():
            go(driver, page, f"{address}&verdict={verdict}")
            leaves(driver, images)

    def test_what_an_image_is_like_and_the_held_out_images(self, driver, small):
        made, page = small
        go(driver, page, "#images?split=held_out&person_size=large")
        held_out = made.split.set_index("image_id").split.isin(["test", "extended"])
        leaves(driver, (held_out & (made.factors[0]["of"] == 1)).sum())

    def test_a_box_on_the_map(self, driver, small):
        go(driver, small[1], "#images?box=0-0-100-100")
        leaves(driver, IMAGES)
        driver.execute_script("document.getElementById('plane').open = true")
        driver.find_element(By.ID, "map").send_keys(Keys.ESCAPE)
        wait(driver, lambda: here(driver) == "#images")
        driver.find_element(By.ID, "map").send_keys(Keys.ARROW_LEFT)
        wait(driver, lambda: "box=35-40-55-60" in here(driver) and "of" in driver.find_element(By.ID, "count").text)

    def test_search_by_caption_and_id(self, driver, small):
        for text, expected in {"Number 119": 1, "BENCH  view": IMAGES, "1007": 1, "zzz": 0}.items():
            go(driver, small[1])
            driver.find_element(By.ID, "f-q").send_keys(text)
            wait(driver, lambda text=text: text.split()[-1] in here(driver))
            leaves(driver, expected)
            assert driver.find_element(By.ID, "none").is_displayed() == (expected == 0)
            driver.execute_script("document.getElementById('f-q').blur()")

    def test_sorted_by_confidence(self, driver, small):
        go(driver, small[1], "#images?model=activity-clip&split=test&sort=confident")
        texts = [card.text for card in driver.find_elements(By.CSS_SELECTOR, ".card .verdict")]
        sure = [float(text.split(",")[0].split()[-1]) for text in texts]
        assert len(sure) > 3
        assert sure == sorted(sure, reverse=True)

    def test_what_the_address_does_not_know_is_left_out(self, driver, small):
        driver.get_log("browser")
        go(driver, small[1], "#images?split=moon&model=__proto__&label=%3Cb%3E&sort=toString&image=nonsense")
        leaves(driver, IMAGES)
        assert not opened(driver)
        assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


class TestOneImage:
    def test_closing_goes_back_to_where_it_was_opened(self, driver, small):
        made, page = small
        go(driver, page)
        go(driver, page, "#images?split=test")
        driver.find_element(By.CSS_SELECTOR, ".card").click()
        wait(driver, lambda: opened(driver))
        first = made.split.image_id[made.split.split == "test"].iloc[0]
        assert f"image={first}" in here(driver)
        assert driver.find_element(By.ID, "detail-title").text == f"Image {first}"
        press(driver, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ESCAPE)
        wait(driver, lambda: not opened(driver))
        assert here(driver) == "#images?split=test"
        driver.back()
        wait(driver, lambda: here(driver) == "#images")
        assert not opened(driver)

    def test_it_tells_each_run_of_each_model_and_captions_stay_text(self, driver, small):
        made, page = small
        image_id = made.predictions["posture", "clip"].image_id[0]
        go(driver, page, f"#images?image={image_id}")
        wait(driver, lambda: opened(driver))
        assert not driver.find_element(By.CSS_SELECTOR, "canvas.heat").is_displayed()  # unless asked for
        rows = driver.find_elements(By.CSS_SELECTOR, ".answers tbody tr")
        assert [len(row.find_elements(By.CSS_SELECTOR, ".runs li")) for row in rows] == [5, 1, 1, 5]
        frame = made.predictions["activity", "probe_clip"].set_index("image_id").loc[image_id]
        told = rows[1].find_element(By.CSS_SELECTOR, ".runs li").get_attribute("title")
        assert f"sitting {frame.p_sitting:.2f}" in told
        assert driver.find_element(By.CSS_SELECTOR, ".facts-list").text.count("\n") >= 9
        captions = [item.text for item in driver.find_elements(By.CSS_SELECTOR, ".captions li")]
        assert any("<img src=x onerror=" in caption for caption in captions)
        assert driver.execute_script("return globalThis.broken") is None

    def test_a_map_is_drawn_where_the_model_looks(self, driver, small):
        made, page = small
        image_id = made.predictions["activity", "clip"].image_id[0]
        go(driver, page, f"#images?image={image_id}&map=activity-clip&class=standing&opacity=40")
        canvas = wait(driver, lambda: driver.find_element(By.CSS_SELECTOR, "canvas.heat"))
        wait(driver, canvas.is_displayed)
        inner, outer = canvas.rect, driver.find_element(By.CSS_SELECTOR, ".photo").rect
        # 64 x 48, the centre square's middle half: 24 of 64 wide, 24 of 48 high
        assert inner["width"] / outer["width"] == pytest.approx(24 / 64, abs=0.01)
        assert inner["height"] / outer["height"] == pytest.approx(24 / 48, abs=0.01)
        assert inner["x"] - outer["x"] == pytest.approx(outer["width"] * 20 / 64, abs=1)
        assert canvas.value_of_css_property("opacity") == "0.4"
        pixels = """const c = document.querySelector('canvas.heat');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            const at = (x, y) => d[4 * (y * c.width + x)];
            return [at(2, 2), at(c.width - 3, c.height - 3)]"""
        standing = driver.execute_script(pixels)
        assert standing[0] < standing[1]  # the made-up grid grows to the lower right
        driver.find_elements(By.CSS_SELECTOR, ".choices input")[0].click()
        wait(driver, lambda: driver.execute_script(pixels) != standing)
        wait(driver, lambda: "class=walking_running" in here(driver))


class TestKeyboard:
    def test_search_move_open_and_close(self, driver, small):
        go(driver, small[1], "")
        press(driver, "/")
        wait(driver, lambda: driver.switch_to.active_element.get_attribute("id") == "f-q")
        press(driver, "bench")
        wait(driver, lambda: "q=bench" in here(driver))
        leaves(driver, IMAGES)
        driver.execute_script("document.querySelector('.card').focus()")
        press(driver, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT)
        columns_of = (
            "const t = [...document.querySelectorAll('.grid li')].map(l => l.getBoundingClientRect().top);"
            "return t.filter(y => y === t[0]).length"
        )
        columns = driver.execute_script(columns_of)
        position = "return document.activeElement.dataset.position"
        assert driver.execute_script(position) == str(columns)
        press(driver, Keys.ENTER)
        wait(driver, lambda: opened(driver))
        title = "return document.getElementById('detail-title')?.textContent"
        before = driver.execute_script(title)
        press(driver, Keys.ARROW_RIGHT)
        wait(driver, lambda: driver.execute_script(title) != before)
        press(driver, Keys.ESCAPE)
        wait(driver, lambda: driver.execute_script(position) == str(columns + 1))
        assert not opened(driver)

    def test_focus_can_be_seen(self, driver, small):
        cold(driver, small[1])
        press(driver, Keys.TAB)
        focused = driver.switch_to.active_element
        assert focused.text == "Skip to the content"
        assert focused.value_of_css_property("outline-style") == "solid"


class TestResults:
    def test_a_column_sorts_both_ways(self, driver, small):
        go(driver, small[1], "#table-7-three-activities")
        table = driver.find_element(By.CSS_SELECTOR, "#table-7-three-activities table")
        column = """const [head, cells] = [arguments[0].tHead.rows[0].cells[3], [...arguments[0].tBodies[0].rows]];
            head.querySelector("button").click();
            return [head.ariaSort, [...arguments[0].tBodies[0].rows].map((row) => row.cells[3].textContent)]"""
        assert driver.execute_script(column, table) == ["descending", ["0.710", "0.401", "−0.400"]]
        assert driver.execute_script(column, table) == ["ascending", ["−0.400", "0.401", "0.710"]]

    def test_a_chart_tells_its_numbers_and_leads_to_the_errors(self, driver, small):
        go(driver, small[1], "")
        row = driver.find_element(By.CSS_SELECTOR, "#chart-activity ol a")
        driver.execute_script("arguments[0].focus()", row)
        assert "0.620 [0.590, 0.650]" in driver.find_element(By.CSS_SELECTOR, "#chart-activity .readout").text
        press(driver, Keys.ENTER)
        wait(driver, lambda: here(driver) == "#images?model=activity-clip&split=held_out&verdict=wrong")


SHIFT = """const done = arguments[0], seen = [];
    new PerformanceObserver((list) => seen.push(...list.getEntries())).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(seen.reduce((sum, entry) => sum + entry.value, 0)), 100);"""


@pytest.mark.parametrize("width", [1440, 390])
def test_a_cold_link_rests_on_its_target_and_nothing_moves(driver, small, width):
    size(driver, width, 844)
    for anchor in ("#the-papers-experiments", "#more-figures"):  # below the chart, and below tables and figures
        cold(driver, small[1], anchor)
        assert driver.execute_async_script(SHIFT) < 0.1
        places = """const root = document.documentElement;
            return [document.querySelector(arguments[0]).getBoundingClientRect().top,
                parseFloat(getComputedStyle(root).scrollPaddingTop)]"""
        top, rest = driver.execute_script(places, anchor)
        assert abs(top - rest) <= 8


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_serious_keeps_anybody_out(driver, small, view):
    try:
        package = distribution("axe-playwright-python")
    except PackageNotFoundError:
        pytest.skip("axe-playwright-python, which holds axe-core, is not installed")
    made, page = small
    go(driver, page, view.format(made.manifest.image_id[4]))
    axe = package.locate_file("axe_playwright_python/axe.min.js").read_text(encoding="utf-8")
    driver.execute_script(f"if (!globalThis.axe) {{ {axe} }}")
    script = """const [options, done] = arguments;
        axe.run(options).then(done, (error) => done({violations: [{id: String(error), nodes: []}], passes: []}))"""
    # dark mode changes colours alone
    for scheme, options in {"light": {}, "dark": {"runOnly": ["color-contrast"]}}.items():
        media(driver, scheme)
        found = driver.execute_async_script(script, options | {"resultTypes": ["violations"]})
        assert found["passes"]
        serious = [
            (v["id"], [node["html"][:160] for node in v["nodes"][:3]])
            for v in found["violations"]
            if v.get("impact") in ("serious", "critical", None)
        ]
        assert not serious, scheme


def test_a_phone_opens_the_contents_and_keeps_the_first_column(driver, small):
    size(driver, 390, 844)
    go(driver, small[1], "")
    menu = driver.find_element(By.ID, "contents")
    assert not menu.is_displayed()
    driver.find_element(By.CSS_SELECTOR, "button[popovertarget]").click()
    wait(driver, menu.is_displayed)
    menu.find_element(By.TAG_NAME, "a").click()
    wait(driver, lambda: not menu.is_displayed())
    driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    table = driver.find_element(By.CSS_SELECTOR, ".table:has(thead th:nth-child(13))")
    cells = """arguments[0].scrollLeft = 200;
        return [...arguments[0].querySelectorAll('thead th:first-child, tbody tr:first-child th')]
            .map((cell) => cell.getBoundingClientRect().left - arguments[0].getBoundingClientRect().left)"""
    assert driver.execute_script(cells, table) == [0, 0]
    sizes = """return [...document.querySelectorAll('#results *')].filter((one) => one.checkVisibility()
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
        .map((one) => parseFloat(getComputedStyle(one).fontSize))"""
    assert min(driver.execute_script(sizes)) >= 12


def test_a_phone_never_scrolls_sideways(driver, small):
    made, page = small
    size(driver, 360, 740)
    for view in VIEWS:
        go(driver, page, view.format(made.manifest.image_id[4]))
        widths = """const d = document.getElementById('detail');
            return [document.documentElement.scrollWidth, d.scrollWidth]"""
        assert max(driver.execute_script(widths)) <= 360, view


def test_print_cuts_no_column_and_no_row(driver, small):
    size(driver, 717, 1046)  # A4 between Chromium's margins
    go(driver, small[1], "")
    media(driver, kind="print")
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    wide = """return [...document.querySelectorAll('.sections :is(table, td, img, .chart, .funnel)')]
        .filter((one) => one.getBoundingClientRect().right > 717 || !one.getBoundingClientRect().height).length"""
    assert driver.execute_script("return document.querySelectorAll('.sections tbody tr').length") > 40
    assert not driver.execute_script(wide)


@pytest.mark.slow
def test_five_thousand_images_hold_few_elements(driver, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        made, page = written(tmp_path, 5000, patch)
    go(driver, page)
    leaves(driver, 5000)
    items = "return document.querySelectorAll('#grid li').length"
    assert 5 < driver.execute_script(items) < 120
    driver.execute_script("scrollTo(0, document.documentElement.scrollHeight)")
    last = f"a[href*='image={made.manifest.image_id.iloc[-1]}']"
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, last))
    assert driver.execute_script(items) < 120
