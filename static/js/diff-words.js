// Which words differ between a removed line and the added one that stands for it. Pure.

/**
 * @typedef {import("./diff-parse.js").Line} Line
 * @typedef {{ text: string, changed: boolean }} Part
 */

/** Words, signs of scripts without words, blanks, and every other sign by itself. */
const TOKENS = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}]|(?:(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}])[\p{L}\p{M}\p{N}_])+|\s+|[^]\p{M}*/gu;
/** Characters of a line; in a longer one nothing is looked for. */
const LONGEST = 10_000;
/** Comparisons of one line's words with another's; where it takes more, all between the common ends counts as changed. */
const MOST_WORDS = 4000;
/** Comparisons of the lines of one block; in a larger one they stand for each other in their order. */
const MOST_LINES = 400;
/** The share of two lines that is in both; those with less say something else. */
const ALIKE = 0.4;

/** @param {string} text @returns {string[]} */
const tokens = (text) => text.match(TOKENS) ?? [];

/** How much of two lines is in both, from 0 to 1; blanks count for nothing. @param {Map<string, number>} before @param {Map<string, number>} after */
function alike(before, after) {
  let [all, both] = [0, 0];
  for (const [word, count] of before) {
    all += count * word.length;
    both += 2 * Math.min(count, after.get(word) ?? 0) * word.length;
  }
  for (const [word, count] of after) all += count * word.length;
  return all === 0 ? 0 : both / all;
}

/** @param {Line} line */
function counted({ text }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  if (text.length > LONGEST) return counts;
  for (const word of tokens(text)) if (word.trim()) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** The best ways through a table of gains, from its end on: in order, each row and each column at most once. @param {number} rows @param {number} columns @param {(row: number, column: number) => number} gain 0: these two don't go together @returns {[number, number][]} */
function through(rows, columns, gain) {
  const width = columns + 1;
  const best = new Float64Array((rows + 1) * width);
  const at = (/** @type {number} */ row, /** @type {number} */ column) => /** @type {number} */ (best[row * width + column]);
  for (let row = rows - 1; row >= 0; row -= 1) {
    for (let column = columns - 1; column >= 0; column -= 1) {
      const own = gain(row, column);
      best[row * width + column] = Math.max(at(row + 1, column), at(row, column + 1), own > 0 ? own + at(row + 1, column + 1) : 0);
    }
  }
  /** @type {[number, number][]} */
  const pairs = [];
  for (let [row, column] = [0, 0]; row < rows && column < columns;) {
    const own = gain(row, column);
    if (own > 0 && at(row, column) === own + at(row + 1, column + 1)) pairs.push([row++, column++]);
    else if (at(row + 1, column) >= at(row, column + 1)) row += 1;
    else column += 1;
  }
  return pairs;
}

/** Which of the added lines stand for which of the removed ones. @param {Line[]} removed @param {Line[]} added @returns {[Line, Line][]} */
function pairs(removed, added) {
  const [before, after] = [removed.map(counted), added.map(counted)];
  const likeness = (/** @type {number} */ row, /** @type {number} */ column) => {
    const share = alike(/** @type {Map<string, number>} */ (before[row]), /** @type {Map<string, number>} */ (after[column]));
    return share >= ALIKE ? share : 0;
  };
  const found = removed.length * added.length <= MOST_LINES
    ? through(removed.length, added.length, likeness)
    : removed.flatMap((_, n) => (n < added.length && likeness(n, n) > 0 ? [/** @type {[number, number]} */ ([n, n])] : []));
  return found.map(([row, column]) => [/** @type {Line} */ (removed[row]), /** @type {Line} */ (added[column])]);
}

/** Parts of a line, the longest that can be: blanks between two changes are changed with them. @param {string[]} all @param {boolean[]} changed @returns {Part[]} */
function joined(all, changed) {
  const marks = all.map((word, n) => changed[n] === true || (!word.trim() && changed[n - 1] === true && changed[n + 1] === true));
  /** @type {Part[]} */
  const parts = [];
  all.forEach((text, n) => {
    const last = parts.at(-1);
    if (last && last.changed === marks[n]) last.text += text;
    else parts.push({ text, changed: marks[n] === true });
  });
  return parts;
}

/** What differs between two lines, on either side. @param {string} before @param {string} after @returns {[Part[], Part[]]} */
export function words(before, after) {
  const [a, b] = [tokens(before), tokens(after)];
  const most = Math.min(a.length, b.length);
  let start = 0;
  while (start < most && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < most - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [rows, columns] = [a.length - start - end, b.length - start - end];
  const [inA, inB] = [a, b].map((all) => all.map((_, n) => n >= start && n < all.length - end));
  if (rows * columns <= MOST_WORDS) {
    const same = (/** @type {number} */ row, /** @type {number} */ column) => (a[start + row] === b[start + column] ? (a[start + row]?.trim() ? 1 : 0.5) : 0);
    for (const [row, column] of through(rows, columns, same)) /** @type {boolean[]} */ (inA)[start + row] = /** @type {boolean[]} */ (inB)[start + column] = false;
  }
  return [joined(a, inA ?? []), joined(b, inB ?? [])];
}

/** The blocks of a hunk: removed lines and the added ones after them. @param {Line[]} lines */
function* blocks(lines) {
  /** @type {Line[]} */
  let removed = [];
  /** @type {Line[]} */
  let added = [];
  for (const line of lines) {
    if (line.kind === "note") continue; // of the line above: it parts nothing
    if (line.kind === "same" || (line.kind === "removed" && added.length > 0)) {
      if (removed.length && added.length) yield { removed, added };
      [removed, added] = [[], []];
    }
    if (line.kind === "removed") removed.push(line);
    else if (line.kind === "added") added.push(line);
  }
  if (removed.length && added.length) yield { removed, added };
}

/** Says of a hunk's lines what of them changed, or null where that is all or nothing; looked for when a line is asked for. @param {Line[]} lines @returns {(line: Line) => Part[] | null} */
export function marks(lines) {
  /** @type {Map<Line, { removed: Line[], added: Line[] }>} */
  const blockOf = new Map();
  for (const block of blocks(lines)) for (const line of [...block.removed, ...block.added]) blockOf.set(line, block);
  /** @type {Map<Line, [Line, Line]>} */
  const pairOf = new Map();
  /** @type {Map<Line, Part[] | null>} */
  const found = new Map();
  return (line) => {
    const block = blockOf.get(line);
    if (block) {
      for (const one of [...block.removed, ...block.added]) blockOf.delete(one);
      for (const pair of pairs(block.removed, block.added)) for (const one of pair) pairOf.set(one, pair);
    }
    const pair = pairOf.get(line);
    if (pair && !found.has(line)) {
      const both = words(pair[0].text, pair[1].text);
      const tells = both.some((parts) => parts.some(({ changed }) => !changed));
      both.forEach((parts, side) => found.set(/** @type {Line} */ (pair[side]), tells && parts.some(({ changed }) => changed) ? parts : null));
    }
    return found.get(line) ?? null;
  };
}
