// One request at a time: what is sent, what is shown of the answer, what is said when there is none.

import { ask, ServerError } from "./client.js";
import { $, form, markWrong, offer, prepareForm, wish } from "./form.js";
import { count, draw, element } from "./view.js";

const SLICE = 12; // ms of drawing before the page looks whether a person wants something

let running = null; // AbortController of the request under way
let ticking = 0; // the timer of the clock that a person sees
let answer = null; // the latest, as the server gave it

const key = () => $("key").value.trim();

async function loadSchemas() {
  hideError();
  try {
    offer((await ask("/v1/schemas", { key: key() })).schemas);
  } catch (error) {
    showError(error);
  }
}

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
  if (document.activeElement === $("cancel")) $("run").focus(); // as it is about to go
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
  say(summary());
  if ($("result").getBoundingClientRect().top > innerHeight - 100) $("result").scrollIntoView();
}

function summary() {
  const [{ entities, relations, events }] = answer.results;
  const found = [
    count(entities.length, "entity", "entities"),
    count(relations.length, "relation"),
    count(events.length, "event"),
  ];
  const [all, queued] = [answer.seconds, answer.queued_seconds].map((value) => `${value.toFixed(2)} s`);
  return `${found.join(", ")} in ${all} (${queued} queued) by ${answer.model}`;
}

function say(words) {
  $("status").textContent = words;
}

function showError(error) {
  if (!(error instanceof ServerError))
    error = new ServerError("This page cannot show the answer", { message: `It met this: ${error}` });
  $("error").replaceChildren(element("strong", "", error.heading), element("p", "", error.message));
  $("error").hidden = false;
  if (error.status === 401) $("key-field").hidden = false;
  markWrong(error.param);
  $("error").scrollIntoView({ block: "nearest" });
}

function hideError() {
  $("error").hidden = true;
  $("error").replaceChildren();
  markWrong(null);
}

function showShortcut() {
  const control = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";
  $("clock").replaceChildren(element("kbd", "", control), " ", element("kbd", "", "Enter"));
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
  say(`${summary()}. ${copied ? "Copied." : "The browser does not let this page copy."}`);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  else if (event.key === "Escape" && running) running.abort();
  else return;
  event.preventDefault();
});
$("cancel").addEventListener("click", () => running?.abort());
$("copy").addEventListener("click", copy);
$("key").addEventListener("change", loadSchemas);
prepareForm();
showShortcut();
loadSchemas();
