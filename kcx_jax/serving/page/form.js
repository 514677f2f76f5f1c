// The form's fields: the text, the schema in one of three ways, the tasks; what they ask for as a request.

import { ServerError } from "./client.js";
import { EXAMPLES } from "./examples.js";
import { pointsIn } from "./spans.js";
import { count, element } from "./view.js";

const LONG = 10_000; // UTF-16 units

export const $ = (id) => document.getElementById(id);
export const form = $("ask");

const schemaFields = { name: $("schema-name"), labels: $("labels"), code: $("code") }; // by mode
const taskBoxes = [...form.elements.task];
const wanted = new Set(taskBoxes.map((box) => box.value)); // tasks, also those that the schema has not
let schemas = []; // of the server
let touched = false; // whether a person chose a mode

const mode = () => form.elements.mode.value;
const chosen = () => schemas[schemaFields.name.selectedIndex];

/** The schemas of the server, {name, code, tasks}, are there to be chosen from. */
export function offer(named) {
  schemas = named;
  schemaFields.name.replaceChildren(...schemas.map(({ name }) => new Option(name)));
  form.querySelector("[value=name]").disabled = !schemas.length;
  if (!schemas.length && mode() === "name") form.elements.mode.value = "labels";
  else if (schemas.length && !touched) form.elements.mode.value = "name";
  showMode();
}

/** The body of a request. Throws a `ServerError`, as the server would, for what cannot be asked. */
export function wish() {
  if (!$("text").value.trim()) throw complaint("There is no text yet", "Paste some above, or take an example.", "text");
  const schema = schemaWish();
  const tasks = taskBoxes.filter((box) => box.checked).map((box) => box.value);
  const all = tasks.length === taskBoxes.filter((box) => !box.disabled).length;
  if (!tasks.length) throw complaint("Nothing is looked for", "Tick entities, relations or events.");
  const ground = $("loose").checked ? "ladder" : "strict";
  return { text: $("text").value, ...schema, tasks: all ? null : tasks, ground };
}

function schemaWish() {
  if (mode() === "name") return { schema_name: chosen().name };
  if (mode() === "code") {
    if (!$("code").value.trim()) throw complaint("There is no schema yet", "Write some classes.", "schema");
    return { schema: $("code").value };
  }
  const labels = $("labels").value.split(/[,，、،;]/).map((label) => label.trim()).filter(Boolean);
  if (!labels.length) throw complaint("There is no label yet", "Write some, separated by commas.", "labels");
  return { labels };
}

function complaint(heading, message, param) {
  return new ServerError(heading, { message, param });
}

/** Marks the field that `param` of a request came from as wrong; null marks none. */
export function markWrong(param) {
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
  const ofSchema = ["schema", "schema_name", "labels"].includes(param);
  const wrong = param === "text" ? $("text") : ofSchema ? schemaFields[mode()] : null;
  wrong?.setAttribute("aria-invalid", "true");
  wrong?.setAttribute("aria-errormessage", "error");
}

function setMode(value) {
  touched = true;
  form.elements.mode.value = value;
  showMode();
}

/** Shows what belongs to the mode: its fields, and the tasks that its schema has. */
function showMode() {
  for (const panel of form.querySelectorAll(".mode")) panel.hidden = panel.dataset.mode !== mode();
  $("schema-code").textContent = chosen()?.code ?? "";
  const has = { name: chosen()?.tasks, labels: ["ner"], code: ["ner", "re", "eae"] }[mode()];
  for (const box of taskBoxes) {
    box.disabled = !has.includes(box.value);
    box.checked = !box.disabled && wanted.has(box.value);
  }
}

function changed({ target }) {
  if (target.name === "task" && target.checked) wanted.add(target.value);
  else if (target.name === "task") wanted.delete(target.value);
  else if (target.name === "mode") touched = true;
  showMode();
}

/** A field's text replaced as if it were typed, so that Ctrl+Z brings back what a person had written. */
function replace(field, text) {
  const focused = document.activeElement;
  field.focus({ preventScroll: true });
  field.select();
  document.execCommand("insertText", false, text);
  focused.focus({ preventScroll: true });
}

/** Pastes a long text by script: after an ordinary paste of one very long line, each key takes Chromium seconds. */
function paste(event) {
  const text = event.clipboardData.getData("text/plain");
  if (text.length < LONG) return;
  event.preventDefault();
  const field = event.target;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  measure();
}

function measure() {
  $("length").textContent = count(pointsIn($("text").value), "character");
}

function useExample({ text, labels, code }) {
  setMode(code ? "code" : "labels");
  replace(schemaFields[mode()], code ?? labels);
  replace($("text"), text);
  $("text").scrollTop = 0;
}

function editCopy() {
  const { code } = chosen();
  setMode("code");
  replace($("code"), code);
  $("code").focus(); // as the button is gone
}

/** Brings the form to life. */
export function prepareForm() {
  for (const example of EXAMPLES) {
    const button = element("button", "quiet", example.name);
    button.type = "button";
    button.lang = example.language;
    button.addEventListener("click", () => useExample(example));
    form.querySelector(".examples").append(" ", button);
  }
  form.addEventListener("change", changed);
  $("edit").addEventListener("click", editCopy);
  $("text").addEventListener("input", measure);
  $("text").addEventListener("paste", paste);
  $("code").value = EXAMPLES[0].code;
  measure(); // a browser may bring back what stood there before
  showMode();
}
