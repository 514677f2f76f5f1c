// Marks in the text and items in the lists, which show each other: by pointer, by focus, by Enter.

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
const SHOWN = ".item, mark";
const STOPS = ".item, mark[tabindex]"; // of a mark, its first piece

/**
 * The links within `root`, whose text scrolls in `pane`. An item or a mark belongs to keys; what shares one lights up
 * together. Each `.walk` in `root` is one stop of the Tab key, and arrow keys walk in it.
 */
export class Links {
  #keys = new WeakMap(); // element -> its keys
  #elements = new Map(); // key -> its elements, marks before items
  #lit = [];
  #pane;

  constructor(root, pane) {
    this.#pane = pane;
    root.addEventListener("pointerover", (event) => this.#light(event.target.closest(SHOWN) ?? document.activeElement));
    root.addEventListener("pointerleave", () => this.#light(document.activeElement));
    root.addEventListener("focusin", (event) => this.#focused(event.target.closest(SHOWN)));
    root.addEventListener("focusout", () => this.#light(null));
    root.addEventListener("click", (event) => this.#clicked(event.target.closest(SHOWN)));
    root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** `element`, a mark or an item, belongs to `keys` from now on. */
  add(element, keys) {
    this.#keys.set(element, keys);
    for (const key of keys) {
      if (!this.#elements.has(key)) this.#elements.set(key, []);
      this.#elements.get(key).push(element);
    }
  }

  #sharing(element) {
    return (this.#keys.get(element) ?? []).flatMap((key) => this.#elements.get(key));
  }

  #light(element) {
    for (const lit of this.#lit) lit.classList.remove("on");
    this.#lit = this.#sharing(element);
    for (const lit of this.#lit) lit.classList.add("on");
  }

  #focused(element) {
    this.#light(element);
    if (!element) return;
    for (const stop of element.closest(".walk").querySelectorAll("[tabindex='0']")) stop.tabIndex = -1;
    element.tabIndex = 0;
    if (element.matches(".item")) this.#reveal(this.#other(element));
  }

  /** The first mark of an item; the first item of a mark. */
  #other(element) {
    const wanted = element.matches("mark") ? ".item" : "mark";
    return this.#sharing(element).find((other) => other.matches(wanted));
  }

  #clicked(element) {
    const selecting = element?.matches("mark") && getSelection().toString();
    if (element && !selecting) this.#jump(element);
  }

  #jump(element) {
    this.#other(element)?.focus();
  }

  /** Scrolls the pane, and nothing else, to `mark`. Twice, as what was off screen has its true height only then. */
  #reveal(mark) {
    if (!mark) return;
    const scroll = () => {
      const pane = this.#pane.getBoundingClientRect();
      const { top, bottom } = mark.getClientRects()[0] ?? mark.getBoundingClientRect();
      if (top < pane.top || bottom > pane.bottom) this.#pane.scrollTop += top - pane.top - pane.height / 3;
    };
    scroll();
    requestAnimationFrame(scroll);
  }

  #key(event) {
    const element = event.target.closest(SHOWN);
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && element.matches("mark")) this.#jump(element);
    else if (event.key in STEPS) this.#walk(element, event.key);
    else return;
    event.preventDefault();
  }

  #walk(element, key) {
    const stops = [...element.closest(".walk").querySelectorAll(STOPS)];
    const mirrored = key.endsWith("t") && getComputedStyle(element).direction === "rtl";
    const place = stops.indexOf(element) + (mirrored ? -STEPS[key] : STEPS[key]);
    stops[Math.min(stops.length - 1, Math.max(0, place))].focus();
  }
}
