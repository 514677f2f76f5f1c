"use strict";
for (const browser of document.querySelectorAll(".browser")) {
  const cases = [...browser.querySelectorAll(".case")];
  const filters = browser.querySelector(".filters");
  const pager = browser.querySelector(".pager");
  const [before, after] = pager.querySelectorAll("button");
  const status = pager.querySelector("output");
  const size = Number(browser.dataset.page);
  let first = 0;

  const words = (text) => (text ? text.split(" ") : []);
  // Each card's items as [system, kind, type].
  const items = new Map(cases.map((card) => [card, words(card.dataset.items).map((item) => item.split("."))]));
  const answered = (card, system, verdict, type) => {
    if (verdict === "right") return words(card.dataset.right).includes(system);
    return items.get(card).some(([one, kind, of]) =>
      one === system && (!type || of === type) && (verdict === "wrong" ? kind !== "right" : kind === verdict));
  };
  const matches = (card, name, value, type) => {
    if (name === "text") return card.textContent.toLowerCase().includes(value.toLowerCase());
    if (name === "type") return items.get(card).some(([, , of]) => of === value);
    if (name === "system")
      return words(card.dataset.asked).some((system) => answered(card, system, value, type));
    if (name.startsWith("system")) return answered(card, name.slice(6), value, type);
    return card.dataset[name] === value;
  };
  const show = () => {
    const chosen = [...new FormData(filters)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
    const type = filters.elements.type?.value;
    const found = cases.filter((card) => chosen.every(([name, value]) => matches(card, name, value, type)));
    const shown = new Set(found.slice(first, first + size));
    for (const card of cases) card.hidden = !shown.has(card);
    before.disabled = first === 0;
    after.disabled = first + size >= found.length;
    status.textContent = found.length
      ? `${first + 1}–${first + shown.size} of ${found.length}` : "no sentence like that";
  };
  const turn = (pages) => {
    first += pages * size;
    show();
    browser.scrollIntoView();
    if (document.activeElement.disabled || document.activeElement === document.body)
      (pages > 0 ? before : after).focus({ preventScroll: true });  // the keyboard's place is not lost
  };
  const again = () => { first = 0; show(); };
  const clear = () => { for (const field of filters.elements) field.value = ""; };
  filters.addEventListener("input", again);
  filters.addEventListener("reset", (event) => { event.preventDefault(); clear(); again(); });
  filters.addEventListener("submit", (event) => event.preventDefault());
  before.addEventListener("click", () => turn(-1));
  after.addEventListener("click", () => turn(1));
  for (const control of document.querySelectorAll("[data-show]"))
    control.addEventListener("click", () => {
      clear();
      for (const [name, value] of new URLSearchParams(control.dataset.show))
        if (filters.elements[name]) filters.elements[name].value = value;
      again();
      browser.scrollIntoView();
      filters.elements[0].focus({ preventScroll: true });
    });
  filters.hidden = pager.hidden = false;
  show();
}
