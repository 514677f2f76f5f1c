"""The page in a real Chromium: filters, keyboard, narrow and dark windows, direction, print, and nothing sent."""

import pytest

from .conftest import ATTACK, make_folder

WATCH = """() => {
  window.hit = 0;
  addEventListener("securitypolicyviolation", (event) => console.error("policy: " + event.violatedDirective));
}"""
# Contrast (WCAG) of every text that shows, against what lies behind it, painted as the browser paints it.
FAINT = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const read = () => [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  const up = (node) => (node ? [...up(node.parentElement), node] : []);
  const paint = (colour, alpha = 1) => { pen.globalAlpha = alpha; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
  const light = (colour) => colour.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const faint = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.data.trim();
    if (!words || !element.checkVisibility() || element.closest("option, script, nav, :disabled")) continue;
    const style = getComputedStyle(element);
    paint(getComputedStyle(document.body).backgroundColor);
    for (const each of up(element)) paint(getComputedStyle(each).backgroundColor);
    const behind = light(read());
    paint(style.color, up(element).reduce((all, each) => all * getComputedStyle(each).opacity, 1));
    const ink = light(read());
    const ratio = (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    seen += 1;
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${words.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return [[...new Set(faint)], seen];
}"""


@pytest.fixture
def opened(chromium, folder):
    """Call with settings of a window for the page in it. It must log no error and ask for nothing else."""
    contexts, broken, asked = [], [], []

    def open_page(width=1280, height=900, root=folder, **settings):
        context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda line: broken.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(f"({WATCH})()")
        page.goto((root / "report.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not broken, broken
    assert {url.rpartition("/")[2] for url in asked} <= {"report.html", "data:,"}
    assert len(asked) >= len(contexts)


def shown(page, what="e => [e.dataset.language, e.dataset.task, e.dataset.source, e.dataset.right]"):
    return page.eval_on_selector_all(".case:not([hidden])", f"all => all.map({what})")


def counted(page) -> int:
    """How many sentences the filters leave."""
    words = page.inner_text(".pager output")
    return 0 if words.startswith("no ") else int(words.rpartition(" ")[2])


def all_cards(page, test):
    return page.eval_on_selector_all(".case", f"all => all.filter({test}).length")


def test_each_filter_leaves_what_it_says(opened):
    page = opened()
    every = counted(page)
    for name, value in (("language", "ar"), ("task", "eae"), ("source", "special")):
        page.select_option(f".filters [name={name}]", value)
        assert counted(page) == all_cards(page, f"e => e.dataset.{name} === '{value}'") < every
        page.click(".filters [type=reset]")
        assert counted(page) == every
    kinds = page.eval_on_selector_all("[name=system1] option", "all => all.map(e => e.value)")
    assert len(kinds) == 12
    for kind in kinds[3:]:
        page.select_option("[name=system1]", kind)
        has = f"e => e.dataset.items.split(' ').some(t => t.startsWith('1.{kind}.'))"
        assert counted(page) == all_cards(page, has) > 0
    page.select_option("[name=system1]", "right")
    right = counted(page)
    page.select_option("[name=system1]", "wrong")
    assert counted(page) + right == every
    page.select_option("[name=system1]", "missed")
    page.select_option("[name=type]", label="Person")
    number = page.input_value("[name=type]")
    has = f"e => e.dataset.items.split(' ').includes('1.missed.{number}')"
    assert counted(page) == all_cards(page, has) > 0
    page.select_option("[name=system]", "right")  # of any system: gold's own are
    assert counted(page) == all_cards(page, has)
    page.fill("[name=text]", "no such words anywhere")
    assert counted(page) == 0
    assert not shown(page)


def test_a_count_of_errors_leads_to_its_sentences(opened):
    page = opened()
    show = page.get_attribute("[data-show*=wrong_type] >> nth=0", "data-show")
    page.fill("[name=text]", "left over from before")
    page.click(f"[data-show='{show}']")
    assert page.input_value("[name=system1]") == "wrong_type"
    assert page.input_value("[name=text]") == ""
    task = page.input_value("[name=task]")
    assert {card[1] for card in shown(page)} == {task}
    has = f"e => e.dataset.task === '{task}' && e.dataset.items.split(' ').some(t => t.startsWith('1.wrong_type.'))"
    assert counted(page) == all_cards(page, has) > 0
    assert page.evaluate("document.activeElement.closest('.filters') !== null")


def test_the_keyboard_alone_filters_and_turns_the_pages(opened):
    page = opened()
    page.focus("[data-show] >> nth=0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.name") == "language"
    page.select_option("[name=language]", "")
    page.click(".filters [type=reset]")
    assert counted(page) == page.evaluate("document.querySelectorAll('.case').length")
    page.focus(".pager button >> nth=1")
    first = shown(page, "e => e.querySelector('header').textContent")
    page.keyboard.press("Enter")
    assert page.inner_text(".pager output").startswith("5–8 of")
    assert shown(page, "e => e.querySelector('header').textContent") != first
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.inner_text(".pager output").startswith("1–4 of")
    assert page.evaluate("document.activeElement.textContent") == "next ›"  # the other one is at its end
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        found = page.evaluate("document.activeElement.outerHTML.slice(0, 60)")
        if found in reached and "<body" in found:
            break
        reached.add(found)
    wanted = page.eval_on_selector_all(
        "a, select, input, .go, .scroll, summary, button:enabled",
        "all => all.filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 60))",
    )
    assert set(wanted) <= reached


def test_arabic_runs_from_the_right_and_a_latin_name_does_not_turn_it(opened):
    page = opened()
    page.select_option("[name=language]", "ar")
    style = "e => [getComputedStyle(e).direction, getComputedStyle(e).textAlign]"
    assert page.eval_on_selector(".case:not([hidden]) .sentence", style) == ["rtl", "start"]
    place = """e => {
      const range = document.createRange(); range.selectNodeContents(e);
      return [e.getBoundingClientRect().right - range.getBoundingClientRect().right,
              range.getBoundingClientRect().left - e.getBoundingClientRect().left];
    }"""
    right, left = page.eval_on_selector(".case:not([hidden]) .sentence", place)
    assert right < 12 < left
    name, rest = page.eval_on_selector_all(
        ".case:not([hidden]) .sentence >> nth=0 >> mark", "a => a.map(e => e.getBoundingClientRect().left)"
    )[:2]
    assert name > rest  # what comes first in the text stands further right


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_breaks_out_of_the_window(opened, width):
    page = opened(width=width, height=740)
    for language, source in (("", ""), ("en", "special"), ("ar", "")):
        page.select_option("[name=language]", language)
        page.select_option("[name=source]", source)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click(".filters [type=reset]")
    page.fill("[name=text]", "Ada Byron wrote")
    assert counted(page) == 1
    box, window = page.locator(".case:not([hidden]) .long").first.bounding_box(), page.viewport_size
    assert box["height"] < window["height"]
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.focus(".case:not([hidden]) .long >> nth=0")
    wait = "(done) => document.activeElement.addEventListener('scroll', done, { once: true })"
    page.evaluate(f"void (window.scrolled = new Promise({wait}))")
    page.keyboard.press("End")
    page.evaluate("window.scrolled.then(() => true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_suffices(opened, scheme):
    page = opened(color_scheme=scheme)
    page.select_option("[name=system1]", "wrong")
    faint, seen = page.evaluate(FAINT)
    assert faint == []
    assert seen > 400


def test_strangers_words_stay_words(opened):
    page = opened()
    page.select_option("[name=source]", "special")
    assert ATTACK.split("\u202e")[0] in page.inner_text(
        ".case:not([hidden]) .sentence:has-text('onerror') >> nth=0"
    )
    assert page.evaluate("window.hit") == 0
    assert page.locator("img, #hit").count() == 0


def test_without_its_script_the_first_sentences_and_all_figures_show(opened):
    page = opened(java_script_enabled=False)
    assert page.locator(".case:visible").count() == 4
    assert page.locator(".filters:visible, .pager:visible").count() == 0
    assert page.locator("#leaderboard tbody tr:visible").count() >= 8


def test_in_print_nothing_is_cut_off(opened):
    page = opened()
    page.fill("[name=text]", "Ada Byron wrote")
    page.emulate_media(media="print")
    whole = "e => e.scrollHeight - e.clientHeight"
    assert page.eval_on_selector(".case:not([hidden]) .long", whole) <= 1
    assert page.locator(".filters:visible, nav:visible").count() == 0


def test_many_sentences_are_there_soon_and_turn(chromium, tmp_path, opened):
    """Hundreds of cards: the page still shows four, and the last page is reached."""
    root = make_folder(tmp_path, count=60)
    page = opened(root=root)
    every = page.evaluate("document.querySelectorAll('.case').length")
    assert counted(page) == every > 400
    for _ in range(3):
        page.click(".pager button >> nth=1")
    assert page.inner_text(".pager output") == f"13–16 of {every}"
