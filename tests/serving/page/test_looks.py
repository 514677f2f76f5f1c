"""What a person needs in order to see and reach everything: contrast, width, direction, keyboard."""

import pytest

from .conftest import Canned, run

LONG = "Donaudampfschifffahrtsgesellschaftskapitän" * 4
TEXT = f"Mira Okafor left Lagos for {LONG} in May."
EVERYTHING = {
    "entities": [
        ("Person", 0, 11, 0.97),
        ("City", 17, 22, 0.41),
        (LONG, 27, 27 + len(LONG), None),
        ("Name", 5, 11, 0.2),
    ],
    "relations": [
        (LONG, ("Person", 0, 11), (LONG, 27, 27 + len(LONG)), 0.5),
        ("Left", ("Person", 0, 11), ("City", 17, 22), None),
    ],
    "events": [
        (("Departure", 12, 16, 0.8), [("who", "Person", 0, 11), (LONG, None, 17, 22), ("when", None, -4, -1)])
    ],
    "problems": [
        ("ner", "unresolved", LONG),
        ("re", "length", "the answer was cut off at the limit of new tokens"),
    ],
    "answers": {"ner": f'[Person("Mira Okafor"), {LONG}("{LONG}")]', "eae": "[]"},
}
EVERYTHING["events"][0][1][2] = ("when", None, len(TEXT) - 4, len(TEXT) - 1)

# Every visible text of the page: its words, size, weight, and its colour and backdrop as sRGB, drawn on a canvas.
# Controls too, as their border against what is around them.
COLOURS = """() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const ancestors = (node) => (node ? [...ancestors(node.parentElement), node] : []);
  const paint = (colour, alpha) => {
    pen.globalAlpha = alpha;
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
  };
  const backdrop = (element) => {
    pen.globalAlpha = 1;
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, 1, 1);
    for (const each of ancestors(element)) paint(getComputedStyle(each).backgroundColor, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const colours = (element, style, own, paintIn) => {
    const behind = backdrop(element);
    const opacity = ancestors(element).reduce((all, each) => all * getComputedStyle(each).opacity, own);
    paint(paintIn, opacity);
    return [[...pen.getImageData(0, 0, 1, 1).data].slice(0, 3), behind];
  };
  const seen = [];
  const add = (element, style, words, own) => {
    const [ink, behind] = colours(element, style, own, style.color);
    seen.push({ words, size: parseFloat(style.fontSize), weight: Number(style.fontWeight), ink, behind });
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.data.trim();
    if (words && element.checkVisibility() && !element.matches(".unseen, script, noscript"))
      add(element, getComputedStyle(element), words, 1);
  }
  for (const mark of document.querySelectorAll("mark[data-label]")) {
    const style = getComputedStyle(mark, "::after");
    add(mark, style, "label " + mark.dataset.label, Number(style.opacity));
  }
  for (const field of document.querySelectorAll("textarea, input:not([type]), select, input[type=password]")) {
    if (!field.checkVisibility()) continue;
    add(field, getComputedStyle(field), field.value || "empty", 1);
    const [edge, around] = colours(field.parentElement, null, 1, getComputedStyle(field).borderTopColor);
    seen.push({ words: "edge of " + field.id, size: 99, weight: 400, ink: edge, behind: around });
  }
  return seen;
}"""


def luminance(colour: list[int]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[int], other: list[int]) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def too_faint(page) -> tuple[list[str], int]:
    """What has less contrast than WCAG's AA asks for (4.5; large text and edges 3), and how much was looked at."""
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    faint, seen = [], page.evaluate(COLOURS)
    for each in seen:
        large = each["size"] >= 24 or (each["size"] >= 18.66 and each["weight"] >= 700)
        ratio = contrast(each["ink"], each["behind"])
        if ratio < (3 if large else 4.5):
            faint.append(f"{each['words'][:40]!r}: {ratio:.2f} ({each['ink']} on {each['behind']})")
    return faint, len(seen)


def test_the_ratio_is_that_of_the_standard():
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert contrast([118, 118, 118], [255, 255, 255]) == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_suffices(opened, site: Canned, scheme):
    labels = [f"label {number}" for number in range(12)]  # all colours, and around
    fields = EVERYTHING | {"entities": [(label, 0, 11, 0.5) for label in labels] + EVERYTHING["entities"]}
    site.says(**fields)
    page = opened(color_scheme=scheme)
    assert too_faint(page)[0] == []
    run(page, TEXT)
    faint, seen = too_faint(page)
    assert (faint, seen > 60) == ([], True)
    page.focus(".item")
    assert page.locator(".on").count() >= 2
    assert too_faint(page)[0] == []
    site.fails(401, "no")
    page.check("[name=mode][value=code]")
    run(page)
    assert page.is_visible("#key-field")
    assert too_faint(page)[0] == []
    dark = luminance(page.evaluate(COLOURS)[0]["behind"]) < 0.2
    assert dark == (scheme == "dark")


WIDE = """() => [document.scrollingElement, ...document.querySelectorAll("body *")]
  .filter((each) => {
    if (each.matches("html")) return each.scrollWidth > innerWidth;
    return each.checkVisibility() && !each.closest(".unseen") && each.getBoundingClientRect().right > innerWidth + 0.5;
  })
  .map((each) => `${each.tagName}.${each.className}`)"""


@pytest.mark.parametrize("width", [360, 320, 700, 1100])
def test_nothing_is_wider_than_the_screen(opened, site: Canned, width):
    site.schemas = (200, {}, {"schemas": [{"name": LONG, "code": LONG, "labels": [LONG], "tasks": ["ner"]}]})
    site.says(**EVERYTHING)
    page = opened(width=width, height=740)

    page.click("summary")
    assert page.evaluate(WIDE) == []
    run(page, TEXT)
    assert page.is_visible(".roles")
    assert page.evaluate(WIDE) == []
    site.fails(400, LONG)
    page.check("[name=mode][value=code]")
    run(page)
    assert page.is_visible("#error")
    assert page.evaluate(WIDE) == []


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("انتقلت ليلى إلى عمّان", "rtl"),
        ("היא גרה באוסלו", "rtl"),
        ("Ada went to عمّان", "ltr"),
        ("她住在成都，昨天才来", "ltr"),
        ("2019: ليلى", "rtl"),
    ],
)
def test_a_text_runs_in_its_own_direction(opened, site: Canned, text, direction):
    site.says(entities=[("Person", 0, len(text), 0.5)])
    page = opened()
    run(page, text)
    for place in ("#text", ".block", ".item bdi"):
        assert page.evaluate(f"getComputedStyle(document.querySelector('{place}')).direction") == direction
    assert page.evaluate("getComputedStyle(document.documentElement).direction") == "ltr"


def test_each_line_runs_in_its_own_direction(opened, site: Canned):
    page = opened()
    run(page, "Ada\nليلى")
    left, right = page.evaluate(
        """() => [[0, 3], [4, 8]].map(([start, end]) => {
          const range = document.createRange();
          range.setStart(document.querySelector(".block").firstChild, start);
          range.setEnd(document.querySelector(".block").firstChild, end);
          const [pane, words] = [document.querySelector(".block"), range].map((each) => each.getBoundingClientRect());
          return words.left - pane.left < pane.right - words.right;
        })"""
    )
    assert (left, right) == (True, False)


def test_arrow_keys_follow_the_eye_in_either_direction(opened, site: Canned):
    page = opened()
    for text, forward, back in (
        ("Ada and Bob", "ArrowRight", "ArrowLeft"),
        ("ליה וגם דני", "ArrowLeft", "ArrowRight"),
    ):
        site.says(entities=[("Person", 0, 3, 0.5), ("Person", 8, 11, 0.5)])
        run(page, text)
        page.focus("mark >> nth=0")
        page.keyboard.press(forward)
        assert page.evaluate("document.activeElement.textContent") == text[8:11]
        page.keyboard.press(back)
        assert page.evaluate("document.activeElement.textContent") == text[0:3]


FOCUS = """() => {
  const focused = document.activeElement;
  const shown = focused.matches("[type=radio]") ? focused.nextElementSibling : focused;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  const { width, height, bottom, top } = shown.getBoundingClientRect();
  return {
    name: focused.id || focused.value || focused.className || focused.tagName,
    words: focused.textContent,
    visible: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && width > 4 && height > 4,
    onScreen: bottom > 0 && top < innerHeight,
  };
}"""


def test_from_opening_to_a_result_by_keyboard_alone(opened, site: Canned):
    site.says(**EVERYTHING)
    page = opened()
    seen = []

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            focus = page.evaluate(FOCUS)
            assert focus["visible"], focus
            assert focus["onScreen"], focus
            seen.append(focus["name"])
            if name in focus["name"]:
                return
        raise AssertionError(f"{name} is not reached: {seen}")

    tab_to("text")
    page.keyboard.insert_text(TEXT)
    tab_to("quiet")
    tab_to("labels")  # the radio button
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#code")
    page.keyboard.press("ArrowLeft")
    assert page.is_visible("#labels")
    tab_to("labels")
    page.keyboard.press("Control+a")
    page.keyboard.type("person, place")
    tab_to("ner")
    tab_to("loose")
    page.keyboard.press("Space")
    tab_to("run")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("mark")
    page.wait_for_selector("#result[aria-busy=false]")
    assert site.asked == [{"text": TEXT, "labels": ["person", "place"], "tasks": None, "ground": "ladder"}]
    tab_to("copy")
    tab_to("pane")
    tab_to("entity")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUS)["words"] == "Okafor"
    page.keyboard.press("End")
    assert page.evaluate(FOCUS)["words"] == "May"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")  # from the mark to its item
    assert page.evaluate(FOCUS)["name"].startswith("item")
    assert page.evaluate(FOCUS)["words"].startswith("Mira Okafor")
    page.keyboard.press("Enter")  # and back
    assert page.evaluate(FOCUS)["name"].startswith("entity")
    tab_to("item")
    tab_to("item row")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUS)["words"].startswith("Mira Okafor Person")
    tab_to("item row")
    assert page.evaluate(FOCUS)["words"].startswith("Departure")
    tab_to("code")


def test_every_control_has_a_name(opened, site: Canned):
    site.says(**EVERYTHING)
    page = opened()
    run(page, TEXT)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, textarea, button, [role=region], section, form")]
          .filter((each) => !(each.labels?.length || each.getAttribute("aria-label") || each.textContent.trim()))
          .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    assert page.get_attribute("#status", "role") == "status"


def test_nothing_moves_for_those_who_asked_for_it(opened, site: Canned):
    site.says(**EVERYTHING)
    moves = "(each) => parseFloat(getComputedStyle(each).transitionDuration)"
    moving = f"[...document.querySelectorAll('*')].filter({moves}).length"
    page = opened(reduced_motion="reduce")
    run(page, TEXT)
    assert page.evaluate(moving) == 0
    page = opened(reduced_motion="no-preference")
    run(page, TEXT)
    assert page.evaluate(moving) > 0


def test_more_than_one_width_of_type(opened, site: Canned):
    """Text at twice its size, as people with weak eyes set it, still fits a phone turned on its side."""
    site.says(**EVERYTHING)
    page = opened(width=740, height=360)
    run(page, TEXT)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
