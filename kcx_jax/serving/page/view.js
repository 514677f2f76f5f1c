// What was found, as elements. Every word of a text, a label or an answer becomes a text node, never HTML.

import { found, grouped } from "./found.js";
import { Links } from "./links.js";
import { blocksOf, cut, nested, unitsOf } from "./spans.js";

const TASKS = { ner: "entities", re: "relations", ed: "triggers of events", eae: "events" };

const KEYS = "Arrow keys walk through spans and items; Enter goes from one to the other.";

/** An element with classes and children; a string among these is text. */
export function element(tag, classes = "", ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}

/** "1 entity", "1,234 entities". */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

function figure(number) {
  return element("span", "count", number.toLocaleString("en"));
}

/**
 * Puts a result of the server into `root`, which is empty, in small steps: a generator, so that the page can answer a
 * person between two of them however long the text is.
 */
export function* draw(result, root) {
  const all = found(result);
  const pane = element("div", "pane walk");
  pane.tabIndex = 0;
  pane.setAttribute("role", "region");
  pane.setAttribute("aria-label", "The text with its spans");
  const language = result.record?.language ?? "und";
  if (language !== "und") pane.lang = language;
  const links = new Links(root, pane);
  root.append(pane);
  yield* drawText(result.text, all.marks, pane, links);
  const lists = [
    ["Entities", all.entities, drawEntities],
    ["Relations", all.relations, drawRelations],
    ["Events", all.events, drawEvents],
  ].filter(([, items]) => items.length);
  if (lists.length) root.append(element("p", "hint keys", KEYS));
  else root.append(element("p", "nothing", "Nothing of this schema was found in the text."));
  for (const [name, items, drawList] of lists) {
    const list = section(root, name, items.length);
    list.classList.add("walk");
    yield* drawList(items, list, links);
    list.querySelector(".item").tabIndex = 0;
  }
  if (lists.length) root.append(element("p", "hint", definition(lists.flatMap(([, items]) => items))));
  if (all.problems.length) yield* drawProblems(all.problems, section(root, "Refused or repaired", all.problems.length));
  yield* drawAnswers(result.answers, root);
}

function definition(items) {
  return items.some((item) => typeof item.score === "number")
    ? "The figure beside an item is its confidence: the probability with which the model writes that item where it " +
        "did, among all it may write there. A dash stands where none is known."
    : "No confidence is known for these items.";
}

function section(root, name, number) {
  const made = element("section", "list", element("h2", "", name, " ", figure(number)));
  root.append(made);
  return made;
}

function* drawText(text, marks, pane, links) {
  const unit = unitsOf(text);
  const blocks = blocksOf(text);
  const placed = marks.map((mark) => ({ of: mark, start: unit(mark.start), end: unit(mark.end) }));
  const pieces = cut(placed, blocks);
  for (const [number, block] of blocks.entries()) {
    pane.append(drawBlock(text, block, pieces[number], links));
    yield;
  }
  const first = pane.querySelector("mark[tabindex]");
  if (first) first.tabIndex = 0;
}

function drawBlock(text, block, pieces, links) {
  const paragraph = element("p", "block");
  paragraph.dir = "auto";
  const open = [{ made: paragraph, end: block.end }];
  let position = block.start;
  const write = (end) => {
    if (end > position) open.at(-1).made.append(text.slice(position, end));
    position = Math.max(position, end);
  };
  for (const piece of nested(pieces)) {
    while (open.length > 1 && open.at(-1).end <= piece.start) {
      write(open.at(-1).end);
      open.pop();
    }
    write(piece.start);
    const made = drawMark(piece, links);
    open.at(-1).made.append(made);
    open.push({ made, end: piece.end });
  }
  while (open.length) {
    write(open.at(-1).end);
    open.pop();
  }
  return paragraph;
}

/** A piece of a mark: the first can be reached by the keyboard, and the last bears the label. */
function drawMark({ mark: { of: mark }, first, last }, links) {
  const colour = mark.colour === null ? "" : ` k${mark.colour}`;
  const made = element("mark", mark.kind + colour + (first ? "" : " tail") + (last ? "" : " head"));
  if (first) made.tabIndex = -1;
  if (last) made.dataset.label = mark.label.replaceAll(" ", "\u00a0");
  links.add(made, [mark]);
  return made;
}

function item(classes, marks, links, ...children) {
  const made = element("button", `item ${classes}`, ...children);
  made.type = "button";
  made.tabIndex = -1;
  links.add(made, marks);
  return made;
}

function bdi(text, classes = "") {
  return element("bdi", classes, text);
}

function unseen(text) {
  return element("span", "unseen", text);
}

function score(value) {
  if (typeof value !== "number") return element("span", "score none", unseen(", no confidence"), hidden("–"));
  const made = element("span", "score", unseen(", confidence "), value.toFixed(2));
  made.style.setProperty("--score", String(Math.min(1, Math.max(0, value))));
  return made;
}

/** What is seen and not read aloud. */
function hidden(text, classes = "") {
  const made = element("span", classes, text);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function* drawEntities(entities, list, links) {
  for (const [label, items] of grouped(entities, (each) => each.label)) {
    const { colour } = items[0].marks[0];
    const chips = element("ul", "chips");
    chips.tabIndex = -1; // it scrolls, but its items are how one comes to it
    const name = element("h3", `k${colour}`, bdi(label), " ", figure(items.length));
    list.append(element("div", "group", name, chips));
    for (const each of items) {
      chips.append(element("li", "", item(`k${colour}`, each.marks, links, bdi(each.text), score(each.score))));
      yield;
    }
  }
}

function* drawRelations(relations, list, links) {
  const rows = element("ul", "rows");
  list.append(rows);
  for (const each of relations) {
    const side = (mention, mark) =>
      element("span", `side k${mark.colour}`, bdi(mention.text), " ", bdi(mention.label, "kind"));
    const arrow = element("span", "arrow", hidden("─ "), bdi(each.label), hidden(" →"));
    const [head, tail] = each.marks;
    const row = [side(each.head, head), " ", arrow, " ", side(each.tail, tail), score(each.score)];
    rows.append(element("li", "", item("row", each.marks, links, ...row)));
    yield;
  }
}

function* drawEvents(events, list, links) {
  const cards = element("ul", "rows");
  list.append(cards);
  for (const each of events) {
    const head = item("row", each.marks, links, bdi(each.label, "type"), " ", bdi(each.text), score(each.score));
    const roles = element("dl", "roles");
    for (const [role, parts] of grouped(each.arguments, (part) => part.role)) {
      const values = parts.map((part) => item(...argument(part, links)));
      roles.append(element("dt", "", bdi(role)), element("dd", "", ...values));
    }
    cards.append(element("li", "event", head, ...(each.arguments.length ? [roles] : [])));
    yield;
  }
}

function argument(part, links) {
  const [{ colour }] = part.marks;
  const kind = part.label === null ? [] : [" ", bdi(part.label, "kind")];
  return [colour === null ? "" : `k${colour}`, part.marks, links, bdi(part.text), ...kind];
}

function* drawProblems(problems, list) {
  list.classList.add("problems");
  const rows = element("ul");
  list.append(rows);
  for (const { task, words, detail } of problems) {
    rows.append(element("li", "", element("b", "", words), ` (${TASKS[task] ?? task}) `, bdi(detail)));
    yield;
  }
}

function* drawAnswers(answers, root) {
  const list = element("section", "list", element("h2", "", "The answer, as code"));
  for (const [task, code] of Object.entries(answers)) {
    const name = TASKS[task] ?? task;
    const shown = element("pre", "code", `results = ${code.trim()}`);
    shown.tabIndex = 0;
    shown.setAttribute("role", "region");
    shown.setAttribute("aria-label", `The answer for ${name}`);
    list.append(element("h3", "plain", name), shown);
    yield;
  }
  if (list.children.length > 1) root.append(list);
}
