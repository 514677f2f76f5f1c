// The form: what is asked for, one request at a time, and what is said about it.

import { ask, ServerError } from "./client.js";
import { EXAMPLES } from "./examples.js";
import { pointsIn } from "./spans.js";
import { count, draw, element } from "./view.js";

const SLICE = 12; // ms of drawing before the page looks whether a person wants something
const LONG = 10_000; // UTF-16 units
const OWN = `class Person(Entity):
    """A human being, named."""
class City(Entity):
    """A city or a town."""
class BirthPlace(Relation):
    """Where a person was born."""
    head: Person
    tail: City
`;

const $ = (id) => document.getElementById(id);
const form = $("ask");
const taskBoxes = [...form.elements.task];
const wanted = new Set(taskBoxes.map((box) => box.value)); // tasks, whatever the schema has
const SCHEMA_FIELDS = { name: $("schema-name"), labels: $("labels"), code: $("code") }; // by mode

let schemas = [];
let running = null; // AbortController of the request under way
let ticking = 0; // the timer of the clock that a person sees
let answer = null; // the latest, as the server gave it

/** What the form cannot send. */
const complaint = (heading, message, param) => new ServerError(heading, { message, param });

// The schema and its tasks.

const key = () => $("key").value.trim();
const mode = () => form.elements.mode.value;
const chosen = () => schemas[$("schema-name").selectedIndex];

function setMode(value) {
  form.elements.mode.value = value;
  showMode();
}

function showMode() {
  for (const panel of form.querySelectorAll(".mode")) panel.hidden = panel.dataset.mode !== mode();
  $("schema-code").textContent = chosen()?.code ?? "";
  const has = { name: chosen()?.tasks ?? [], labels: ["ner"], code: [...wanted, "ner", "re", "eae"] }[mode()];
  for (const box of taskBoxes) {
    box.disabled = !has.includes(box.value);
    box.checked = !box.disabled && wanted.has(box.value);
  }
}

async function loadSchemas() {
  hideError();
  try {
    ({ schemas } = await ask("/v1/schemas", { key: key() }));
  } catch (error) {
    showError(error);
    return;
  }
  $("schema-name").replaceChildren(...schemas.map(({ name }) => new Option(name)));
  form.querySelector("[value=name]").disabled = !schemas.length;
  if (schemas.length && !form.dataset.touched) setMode("name");
}

/** The request's body. Throws a complaint. */
function wish() {
  if (!$("text").value.trim()) throw complaint("There is no text yet", "Paste some above, or take an example.", "text");
  const tasks = taskBoxes.filter((box) => box.checked).map((box) => box.value);
  const offered = taskBoxes.filter((box) => !box.disabled);
  if (!tasks.length) throw complaint("Nothing is looked for", "Tick entities, relations or events.");
  return {
    text: $("text").value,
    ...schemaWish(),
    tasks: tasks.length === offered.length ? null : tasks,
    ground: $("loose").checked ? "ladder" : "strict",
  };
}

function schemaWish() {
  if (mode() === "name") return { schema_name: chosen().name };
  if (mode() === "code") {
    if (!$("code").value.trim()) throw complaint("There is no schema yet", "Write some classes.", "schema");
    return { schema: $("code").value };
  }
  const labels = $("labels").value.split(/[,，、،;\n]/).map((label) => label.trim()).filter(Boolean);
  if (!labels.length) throw complaint("There is no label yet", "Write some, separated by commas.", "labels");
  return { labels };
}

// A run.

async function run() {
  if (running) return;
  hideError();
  let body;
  try {
    body = wish();
  } catch (error) {
    showError(error);
    return;
  }
  const { signal } = begin();
  try {
    answer = await ask("/v1/extract", { body, key: key(), signal });
    await show(signal);
  } catch (error) {
    answer = null;
    $("found").replaceChildren();
    say(signal.aborted ? "Cancelled." : "");
    if (!signal.aborted) showError(error);
  } finally {
    finish();
  }
}

function begin() {
  const started = performance.now();
  const tick = () => ($("clock").textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`);
  running = new AbortController();
  ticking = setInterval(tick, 100);
  tick();
  $("run").setAttribute("aria-disabled", "true");
  $("cancel").hidden = false;
  $("copy").hidden = true;
  $("result").setAttribute("aria-busy", "true");
  say("Reading …");
  return running;
}

function finish() {
  running = null;
  clearInterval(ticking);
  showShortcut();
  if (document.activeElement === $("cancel")) $("run").focus(); // which is about to go
  $("run").removeAttribute("aria-disabled");
  $("cancel").hidden = true;
  $("copy").hidden = answer === null;
  $("result").setAttribute("aria-busy", "false");
}

async function show(signal) {
  const [result] = answer.results;
  const fresh = element("div");
  $("found").replaceChildren(fresh);
  let until = performance.now() + SLICE;
  for (const _ of draw(result, fresh)) {
    if (performance.now() < until) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
    until = performance.now() + SLICE;
  }
  say(summary(result));
  if ($("result").getBoundingClientRect().top > innerHeight - 100) $("result").scrollIntoView();
}

function summary(result) {
  const parts = [
    count(result.entities.length, "entity", "entities"),
    count(result.relations.length, "relation"),
    count(result.events.length, "event"),
  ];
  const seconds = (value) => `${value.toFixed(2)} s`;
  return `${parts.join(", ")} in ${seconds(answer.seconds)} (${seconds(answer.queued_seconds)} queued) by ${answer.model}`;
}

function say(words) {
  $("status").textContent = words;
}

function showError(error) {
  if (!(error instanceof ServerError)) error = complaint("This page cannot show the answer", `It met this: ${error}`);
  $("error").replaceChildren(element("strong", "", error.heading), element("p", "", error.message));
  $("error").hidden = false;
  if (error.status === 401) $("key-field").hidden = false;
  if (error.param === "text") markInvalid($("text"));
  if (["schema", "schema_name", "labels"].includes(error.param)) markInvalid(SCHEMA_FIELDS[mode()]);
  $("error").scrollIntoView({ block: "nearest" });
}

function markInvalid(field) {
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-errormessage", "error");
}

function hideError() {
  $("error").hidden = true;
  $("error").replaceChildren();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
}

function showShortcut() {
  const control = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
  $("clock").replaceChildren(element("kbd", "", control), " ", element("kbd", "", "Enter"));
}

// Small things.

/** A field's text replaced as if it were typed, so that Ctrl+Z brings back what a person had written. */
function replace(field, text) {
  const focused = document.activeElement;
  field.focus({ preventScroll: true });
  field.select();
  document.execCommand("insertText", false, text);
  focused.focus({ preventScroll: true });
}

/** Pastes a long text by script: after an ordinary paste of one very long line, each key takes Chromium seconds. */
function pasteLong(event) {
  const text = event.clipboardData.getData("text/plain");
  if (text.length < LONG) return;
  event.preventDefault();
  const field = event.target;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  measure();
}

function useExample({ text, labels, code }) {
  form.dataset.touched = "true";
  setMode(code ? "code" : "labels");
  replace(code ? $("code") : $("labels"), code ?? labels);
  replace($("text"), text);
  $("text").scrollTop = 0;
}

/** Copies in the way that works where a page is not served over HTTPS, too (navigator.clipboard does not). */
function copy() {
  const put = (event) => {
    event.clipboardData.setData("text/plain", JSON.stringify(answer, null, 2));
    event.preventDefault();
  };
  document.addEventListener("copy", put, { once: true });
  const copied = document.execCommand("copy");
  document.removeEventListener("copy", put);
  say(copied ? "Copied." : "The browser does not let this page copy.");
}

function measure() {
  $("length").textContent = count(pointsIn($("text").value), "character");
}

for (const example of EXAMPLES) {
  const button = element("button", "quiet", example.name);
  button.type = "button";
  button.lang = example.language;
  button.addEventListener("click", () => useExample(example));
  form.querySelector(".examples").append(" ", button);
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
form.addEventListener("change", (event) => {
  if (event.target.name === "mode") form.dataset.touched = "true";
  if (event.target.name === "task") wanted[event.target.checked ? "add" : "delete"](event.target.value);
  showMode();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  else if (event.key === "Escape" && running) running.abort();
  else return;
  event.preventDefault();
});
$("cancel").addEventListener("click", () => running?.abort());
$("copy").addEventListener("click", copy);
$("edit").addEventListener("click", () => {
  const { code } = chosen();
  form.dataset.touched = "true";
  setMode("code");
  replace($("code"), code);
  $("code").focus();
});
$("key").addEventListener("change", () => schemas.length || loadSchemas());
$("text").addEventListener("input", measure);
$("text").addEventListener("paste", pasteLong);
$("code").value = OWN;
measure(); // a browser may bring back what stood there before
showMode();
showShortcut();
loadSchemas();
