// A diff as a table: line numbers, a sign and a colour for what was added and removed, marks on the words of a line that changed.

import { parseDiff } from "./diff-parse.js";
import { marks } from "./diff-words.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Rows that are there at once, and that each click adds. */
const FIRST = 600;
const MORE = 4000;
const SIGNS = { same: " ", added: "+", removed: "-", note: " " };

/** @param {number | null} n */
const number = (n) => h("td", { className: "no", data: n === null ? {} : { no: String(n) } });

/** @param {import("./diff-parse.js").Line} line @param {import("./diff-words.js").Part[] | null} parts */
function row(line, parts) {
  const mark = line.kind === "removed" ? "del" : "ins";
  const text = parts?.map((part) => (part.changed ? h(mark, {}, part.text) : part.text)) ?? [line.text];
  return h("tr", { className: line.kind }, number(line.old), number(line.new), h("td", { className: "sign" }, SIGNS[line.kind]), h("td", { className: "text" }, ...text));
}

/** @param {string} text @param {string} className */
const wide = (text, className) => h("tr", { className }, h("td", { className: "text", colSpan: 4 }, text));

/** The first row may be a wide one: widths are said here. */
const columns = () => h("colgroup", {}, ...["no", "no", "sign", "text"].map((className) => h("col", { className })));

/** @param {string} diff git's, of one file or of several @param {string} label whose changes these are */
export function diffView(diff, label) {
  /** @type {(() => HTMLTableRowElement)[]} */
  const rows = [];
  for (const { notes, hunks } of parseDiff(diff)) {
    for (const note of notes) rows.push(() => wide(note, "note"));
    hunks.forEach(({ head, lines }, index) => {
      if (index > 0 || head) rows.push(() => wide(head || "⋯", "hunk"));
      const marked = marks(lines);
      for (const line of lines) rows.push(() => (line.kind === "note" ? wide(line.text, "note") : row(line, marked(line))));
    });
  }
  const body = h("tbody");
  const table = h("table", { className: "diff", "aria-label": t("changes.diff_of", { path: label }) }, columns(), body);
  const view = h("div", { className: "diff-view" }, table);
  const more = h("button", { type: "button", className: "diff-more" });
  let shown = 0;
  const add = (/** @type {number} */ count) => {
    body.append(...rows.slice(shown, shown + count).map((make) => make()));
    shown = Math.min(rows.length, shown + count);
    more.textContent = t("changes.more_lines", { count: rows.length - shown });
    more.hidden = shown >= rows.length;
  };
  more.addEventListener("click", () => add(MORE));
  add(FIRST);
  view.append(more);
  return view;
}
