// Lines of a log: their times, and which of them hold what is looked for. Pure.

const TIME = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\s+/;
// Colours and the like, which programs print for terminals
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]/g;

/** @typedef {{ time: string, text: string }} LogLine */

/** Without what is meant for terminals; line ends and tabs stay. @param {string} raw */
export const plainText = (raw) => raw.replace(ESCAPES, "");

/** @param {string} raw @returns {LogLine} */
export function logLine(raw) {
  const clean = plainText(raw);
  const found = TIME.exec(clean);
  return found ? { time: found[1] ?? "", text: clean.slice(found[0].length) } : { time: "", text: clean };
}

/** Lines that hold all words, in any case. @param {LogLine[]} lines @param {string} words */
export function matching(lines, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return lines;
  return lines.filter(({ time, text }) => {
    const whole = `${time} ${text}`.toLowerCase();
    return wanted.every((word) => whole.includes(word));
  });
}

/** @param {LogLine[]} lines @param {boolean} times */
export const logText = (lines, times) => lines.map(({ time, text }) => (times && time ? `${time} ${text}` : text)).join("\n");
