// Two ways to draw one plot: with uPlot where this build has it, else as plain SVG. Both show the same columns.

import { h } from "./dom.js";
import { clock, dates } from "./i18n.js";

/** @typedef {[number[], ...(number | null)[][]]} Columns seconds, then each line's values; null is nothing */
/**
 * @typedef {object} Look
 * @property {HTMLElement[]} swatches one for each line; its `color` is the line's
 * @property {boolean} joined whether a line goes on over missing values
 * @property {number[] | null} steps by which the scale goes; null: any
 * @property {(value: number) => string} format
 * @property {(index: number | null) => void} pointed the pointer is at this point
 */
/**
 * @typedef {object} Drawing
 * @property {(columns: Columns) => void} show
 * @property {(index: number | null) => void} mark
 * @property {() => void} redraw the colours are others
 */

const HEIGHT = 150;
const SVG = "http://www.w3.org/2000/svg";
const minute = new Intl.DateTimeFormat(dates, { hour: "2-digit", minute: "2-digit" });
const shortTime = (/** @type {Date} */ at) => minute.format(at);
/** So that lines are told apart without their colours. */
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [1, 3]];

/** Times beside an axis: with seconds where they are that close. @param {number[]} seconds @returns {string[]} */
function times(seconds) {
  const close = (seconds[1] ?? Infinity) - (seconds[0] ?? 0) < 60;
  return seconds.map((at) => (close ? clock : shortTime)(new Date(at * 1000)));
}
/** What a canvas can't take from the style sheet itself. @param {HTMLElement} host @param {HTMLElement[]} swatches */
function coloursOf(host, swatches) {
  const { color: ink, borderTopColor: rule } = getComputedStyle(host);
  return { ink, rule, lines: swatches.map((swatch) => getComputedStyle(swatch).color) };
}

/** The top of the scale: above the largest value, and never nothing. @param {Columns} columns @returns {number} */
export function topOf([, ...lines]) {
  let most = 0;
  for (const line of lines) for (const value of line) if (value !== null && value > most) most = value;
  return most > 0 ? most * 1.1 : 1;
}

/** @param {any} uPlot @param {HTMLElement} host @param {Look} look @returns {Drawing} */
export function drawWith(uPlot, host, { swatches, joined, steps, format, pointed }) {
  // Read once: to ask for them at each drawing would have the whole page laid out.
  let colours = coloursOf(host, swatches);
  /** @type {Columns} */
  let columns = [[], ...swatches.map(() => [])];
  const axis = { stroke: () => colours.ink, font: "11px system-ui, sans-serif", grid: { stroke: () => colours.rule, width: 1 }, ticks: { stroke: () => colours.rule, width: 1, size: 4 } };
  const plot = new uPlot({
    width: Math.max(host.clientWidth, 100),
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "staithe-admin" }, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: () => [0, topOf(columns)] } },
    axes: [
      { ...axis, size: 24, gap: 3, space: 84, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => times(ticks) },
      { ...axis, size: 62, gap: 4, space: 34, ...(steps ? { incrs: steps } : {}), values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map(format) },
    ],
    series: [{}, ...swatches.map((_, index) => ({ stroke: () => colours.lines[index], width: 1.75, dash: DASHES[index], spanGaps: joined, points: { show: joined, size: 4 } }))],
    hooks: { setCursor: [(/** @type {any} */ of) => pointed(of.cursor.left >= 0 ? of.cursor.idx ?? null : null)] },
  }, columns, host);
  new ResizeObserver(() => host.clientWidth && plot.setSize({ width: host.clientWidth, height: HEIGHT })).observe(host);
  return {
    show: (now) => {
      columns = now;
      plot.setData(now);
    },
    mark: (index) => {
      const at = index === null ? undefined : columns[0][index];
      plot.setCursor(at === undefined ? { left: -10, top: -10 } : { left: plot.valToPos(at, "x"), top: 0 });
    },
    redraw: () => {
      colours = coloursOf(host, swatches);
      plot.redraw(false);
    },
  };
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** The stretches of a line that can be drawn, in a square of 100 × 100. @param {number[]} xs @param {(number | null)[]} ys @param {number} top @param {boolean} joined @returns {string} */
function pathOf(xs, ys, top, joined) {
  const first = xs[0] ?? 0;
  const width = (xs.at(-1) ?? 1) - first || 1;
  let path = "";
  let pen = false;
  ys.forEach((y, index) => {
    if (y === null) {
      pen &&= joined;
      return;
    }
    path += `${pen ? "L" : "M"}${((((xs[index] ?? 0) - first) / width) * 100).toFixed(2)} ${(100 - (y / top) * 100).toFixed(2)}`;
    pen = true;
  });
  return path;
}

/** @param {HTMLElement} host @param {Look} look @returns {Drawing} */
export function drawPlain(host, { swatches, joined, format, pointed }) {
  const picture = svg("svg", { class: "spark", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  const lines = swatches.map((swatch, index) => svg("path", { class: swatch.className.replace("swatch", "line"), "stroke-dasharray": (DASHES[index] ?? []).join(" ") }));
  const cursor = svg("line", { class: "cursor", y1: 0, y2: 100, visibility: "hidden" });
  picture.append(...lines, cursor);
  const top = h("span", { className: "spark-top" });
  const from = h("span");
  const to = h("span");
  host.append(top, picture, h("div", { className: "spark-times" }, from, to));
  /** @type {number[]} */
  let xs = [];
  /** @param {number | null} index */
  const mark = (index) => {
    const x = index === null ? undefined : xs[index];
    const first = xs[0] ?? 0;
    cursor.setAttribute("visibility", x === undefined ? "hidden" : "visible");
    if (x === undefined) return;
    const at = ((x - first) / ((xs.at(-1) ?? 1) - first || 1)) * 100;
    cursor.setAttribute("x1", String(at));
    cursor.setAttribute("x2", String(at));
  };
  picture.addEventListener("pointermove", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    const first = xs[0] ?? 0;
    const at = first + ((/** @type {PointerEvent} */ (event).clientX - left) / width) * ((xs.at(-1) ?? first) - first);
    const index = xs.findIndex((x) => x >= at);
    mark(index < 0 ? null : index);
    pointed(index < 0 ? null : index);
  });
  picture.addEventListener("pointerleave", () => {
    mark(null);
    pointed(null);
  });
  return {
    mark,
    redraw: () => {},
    show: (columns) => {
      xs = columns[0];
      const most = topOf(columns);
      lines.forEach((line, index) => line.setAttribute("d", pathOf(xs, /** @type {(number | null)[]} */ (columns[index + 1]), most, joined)));
      top.textContent = format(most);
      const ends = times([xs[0] ?? 0, xs.at(-1) ?? 0]);
      from.textContent = ends[0] ?? "";
      to.textContent = ends[1] ?? "";
    },
  };
}
