// Where marks stand: the server's offsets (code points) as JavaScript's (UTF-16), blocks of a text, marks that nest.

/** A function from code points of `text` to its UTF-16 units. */
export function unitsOf(text) {
  if (!/[\ud800-\udfff]/.test(text)) return (point) => point;
  const units = [];
  for (let unit = 0; unit < text.length; unit += text.codePointAt(unit) > 0xffff ? 2 : 1) units.push(unit);
  units.push(text.length);
  return (point) => units[point];
}

/** How many code points `text` has: what a person, and the server, count as characters. */
export function pointsIn(text) {
  let points = 0;
  for (const _ of text) points++;
  return points;
}

/**
 * `text` as stretches [{start, end}] of at least `size` units which end with a line, so that a browser can leave
 * out what is not on screen. One line is never cut.
 */
export function blocksOf(text, size = 2000) {
  const blocks = [];
  for (let start = 0; start < text.length; start = blocks.at(-1).end) {
    const line = text.indexOf("\n", start + size - 1);
    blocks.push({ start, end: line < 0 ? text.length : line + 1 });
  }
  return blocks;
}

/** For each of `blocks`, the pieces {mark, start, end, first, last} of the `marks` {start, end} in it. */
export function cut(marks, blocks) {
  const pieces = blocks.map(() => []);
  let block = 0;
  for (const mark of [...marks].sort((a, b) => a.start - b.start)) {
    while (block < blocks.length && blocks[block].end <= mark.start) block++;
    for (let at = block; at < blocks.length && blocks[at].start < mark.end; at++) {
      const start = Math.max(mark.start, blocks[at].start);
      const end = Math.min(mark.end, blocks[at].end);
      pieces[at].push({ mark, start, end, first: start === mark.start, last: end === mark.end });
    }
  }
  return pieces;
}

/** Of two pieces, the one that opens first: the earlier, then the longer, which holds the other. */
const opening = (a, b) => a.start - b.start || b.end - a.end;

/** `pieces` in the order in which they open, those that cross the end of another one cut there, so that all nest. */
export function* nested(pieces) {
  const waiting = [...pieces].sort(opening);
  const ends = [];
  for (let at = 0; at < waiting.length; at++) {
    const piece = waiting[at];
    while (ends.length && ends.at(-1) <= piece.start) ends.pop();
    const end = Math.min(piece.end, ends.at(-1) ?? piece.end);
    if (end < piece.end) {
      const rest = { ...piece, start: end, first: false };
      let place = at + 1;
      while (place < waiting.length && opening(waiting[place], rest) <= 0) place++;
      waiting.splice(place, 0, rest);
    }
    ends.push(end);
    yield end < piece.end ? { ...piece, end, last: false } : piece;
  }
}
