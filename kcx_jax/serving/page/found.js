// A result of the server as what the page shows: marks of the text, and items which each have some of them.

const COLOURS = 10; // of labels; more labels share them

/** The rungs of `ground: "ladder"`, and what of an answer could not be used, in words. */
const WORDS = {
  unresolved: "no place in the text",
  length: "cut off",
  no_answer: "no answer",
  truncated: "ends too early",
  runaway: "repeats itself",
  syntax: "not readable",
  too_deep: "too many brackets",
  leading_text: "words before the list",
  trailing_text: "words after the list",
  code_fence: "a code fence",
  unknown_class: "not of the schema",
  wrong_arity: "wrong number of arguments",
  wrong_argument: "an argument that does not fit",
  unquoted: "text without quotes",
  case: "other case",
  width: "other form of the characters",
  marks: "other punctuation",
  ends: "other punctuation at its ends",
};

/**
 * {marks, entities, relations, events, problems} of a result. A mark is {kind, label, start, end, colour}, offsets in
 * code points, each once; an item holds its `marks`. `colour` (0 to 9) is that of an entity's label, null elsewhere.
 */
export function found(result) {
  const marks = new Map();
  const colours = new Map();
  const mark = (kind, label, { start, end }) => {
    const key = JSON.stringify([kind, label, start, end]);
    if (!marks.has(key)) {
      if (kind === "entity" && !colours.has(label)) colours.set(label, colours.size % COLOURS);
      marks.set(key, { kind, label, start, end, colour: kind === "entity" ? colours.get(label) : null });
    }
    return marks.get(key);
  };
  const entity = (mention) => mark("entity", mention.label, mention);
  const argument = (each) => (each.label === null ? mark("argument", each.role, each) : entity(each));
  const entities = result.entities.map((each) => ({ ...each, marks: [entity(each)] }));
  const relations = result.relations.map((each) => ({ ...each, marks: [entity(each.head), entity(each.tail)] }));
  const events = result.events.map((each) => ({
    ...each,
    marks: [mark("trigger", each.label, each)],
    arguments: each.arguments.map((part) => ({ ...part, marks: [argument(part)] })),
  }));
  return { marks: [...marks.values()], entities, relations, events, problems: problemsOf(result) };
}

/** What was refused, then what was repaired: {task, words, detail}. */
function problemsOf(result) {
  const points = result.record?.meta?.loose?.length ? [...result.text] : [];
  const repaired = (result.record?.meta?.loose ?? []).map(({ task, type, start, end, rung }) => ({
    task,
    words: `taken as the text has it (${WORDS[rung] ?? rung})`,
    detail: `${type}: ${points.slice(start, end).join("")}`,
  }));
  const refused = result.problems.map(({ task, kind, detail, window }) => ({
    task,
    words: WORDS[kind] ?? kind,
    detail: window ? `${detail} (of the text's characters ${window[0]} to ${window[1]})` : detail,
  }));
  return [...refused, ...repaired];
}

/** `items` by what `name` gives for each, in the order in which the names come. */
export function grouped(items, name) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(name(item))) groups.set(name(item), []);
    groups.get(name(item)).push(item);
  }
  return groups;
}
