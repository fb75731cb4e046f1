// The server's figures over time: small plots that can be read by pointer, by the arrow keys, and as tables.

import { $, announce, h, library, setText, sheet } from "./dom.js";
import { bytes, clock, dateTime, duration, number, t } from "./i18n.js";
import { drawPlain, drawWith } from "./admin-draw.js";
import { decimal, rate, timeOf } from "./admin-overview.js";
import { keep, kept } from "./kept.js";

/** @typedef {import("./admin-overview.js").Point} Point */
/** @typedef {import("./admin-draw.js").Columns} Columns */
/** @typedef {(point: Point, before: Point | undefined) => number | null | undefined} Value */
/** @typedef {{ key: string, names: [string, Value][], format: (value: number) => string, joined?: boolean, steps?: number[], off?: string[] }} Kind `off`: can be shown and hidden, and what is hidden at first */

const HOUR = 3_600_000;
/** Rows of a plot's table. */
const ROWS = 60;
/** A longer silence than so many usual distances is shown as one. */
const SILENCE = 3;
const CLOSED = "staithe.admin.plots";
const STRETCH = "staithe.admin.stretch";
const OFF = "staithe.admin.off";

/** Steps of a scale of bytes, and of one of things that are counted. */
const POWERS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const WHOLE = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

/** Missing where the server began anew. @param {Point} point @param {Point | undefined} before */
const newFaults = (point, before) => (before && point.faults >= before.faults ? point.faults - before.faults : null);
/** @param {string} phase @returns {[string, Value]} */
const phaseLine = (phase) => [`phase.${phase}`, ({ sessions }) => sessions[phase] ?? 0];

/** @type {Kind[]} */
const KINDS = [
  { key: "sessions", names: ["ready", "starting", "suspended", "failed", "stopping", "stopped"].map(phaseLine), format: number, steps: WHOLE, off: ["phase.stopped"] },
  { key: "starts", names: [["admin.series_p50", ({ start_ms }) => start_ms?.p50], ["admin.series_p95", ({ start_ms }) => start_ms?.p95]], format: (value) => duration(Math.round(value)), joined: true },
  { key: "events", names: [["admin.series_events", (point, before) => rate(before, point)]], format: decimal },
  { key: "cpu", names: [["admin.series_cpu", ({ cpu }) => cpu], ["admin.series_load", ({ load }) => load]], format: decimal },
  { key: "memory", names: [["admin.series_memory", ({ memory }) => memory], ["admin.series_sandboxes", ({ sandboxes }) => sandboxes?.memory]], format: bytes, steps: POWERS },
  { key: "clients", names: [["admin.series_clients", ({ clients }) => clients], ["admin.series_faults", newFaults]], format: number, steps: WHOLE },
];

/** The points as columns, with a gap where the server was silent. @param {Point[]} points @param {Kind} kind @returns {Columns} */
export function columnsOf(points, { names }) {
  /** @type {number[]} */
  const xs = [];
  /** @type {(number | null)[][]} */
  const lines = names.map(() => []);
  let usual = Infinity;
  points.forEach((point, index) => {
    const before = points[index - 1];
    const x = timeOf(point) / 1000;
    const past = before ? x - timeOf(before) / 1000 : 0;
    if (past > SILENCE * usual && past > 120) { // the older points are a minute apart, which is no silence
      xs.push(x - past / 2);
      for (const line of lines) line.push(null);
    }
    if (past > 0) usual = past;
    xs.push(x);
    names.forEach(([, value], at) => lines[at]?.push(value(point, before) ?? null));
  });
  return [xs, ...lines];
}

class Plot {
  /** @type {Columns} */
  #columns = [[]];
  /** @type {import("./admin-draw.js").Drawing | null} */
  #drawing = null;
  #canvas = h("div", { className: "canvas", "aria-hidden": "true" });
  /** @type {number | null} the point that the keys are at */
  #at = null;
  #times = h("span", { className: "muted small" });
  #none = h("p", { className: "muted small", hidden: true }, t("admin.plot_empty"));

  /** @param {Kind} kind */
  constructor(kind) {
    this.kind = kind;
    this.title = t(`admin.plot_${kind.key}`);
    this.names = kind.names.map(([key]) => t(key));
    this.swatches = kind.names.map((_, index) => h("span", { className: `swatch s-${index + 1}` }));
    this.values = kind.names.map(() => h("strong"));
    this.off = new Set(kind.off ? kept(OFF)?.split(",") ?? kind.off : []);
    this.entries = this.names.map((name, index) => this.#entry(index, this.swatches[index], `${name} `, this.values[index]));
    const legend = h("div", { className: "legend", ...(kind.off ? { role: "group", "aria-label": t("admin.plot_lines") } : {}) }, ...this.entries);
    this.body = h("tbody");
    this.table = h("details", { className: "plot-table" }, h("summary", {}, t("admin.plot_table")),
      h("div", { className: "table-wrap", tabIndex: 0, role: "region", "aria-label": `${this.title}: ${t("admin.plot_table")}` }, h("table", { className: "table" },
        h("thead", {}, h("tr", {}, ...[t("admin.plot_time"), ...this.names].map((head) => h("th", { scope: "col" }, head)))), this.body)));
    this.table.addEventListener("toggle", () => this.#fill());
    this.field = h("div", { className: "field-of-plot", role: "group", tabIndex: 0 }, this.#canvas);
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => this.#point(null, true));
    this.element = h("figure", { className: "plot", data: { plot: kind.key } }, h("figcaption", {}, h("h3", {}, this.title), this.#times), legend, this.field, this.#none, this.table);
  }

  /** A line in the legend; of the many ones, the button that shows and hides it. @param {number} index @param {...import("./dom.js").Child} parts */
  #entry(index, ...parts) {
    const key = this.kind.names[index]?.[0] ?? "";
    if (!this.kind.off) return h("span", {}, ...parts);
    const button = h("button", { type: "button", data: { line: key }, "aria-pressed": String(!this.off.has(key)), on: { click: () => {
      if (!this.off.delete(key)) this.off.add(key);
      button.setAttribute("aria-pressed", String(!this.off.has(key)));
      keep(OFF, [...this.off].join(","));
      this.#draw();
    } } }, ...parts);
    return button;
  }

  /** Draws what isn't hidden: a hidden line doesn't make the scale larger either. */
  #draw() {
    const [xs, ...lines] = this.#columns;
    this.#drawing?.show([xs, ...lines.map((line, index) => (this.#isOff(index) ? line.map(() => null) : line))]);
    this.#point(null, true);
  }

  /** @param {number} index */
  #isOff(index) {
    return this.off.has(this.kind.names[index]?.[0] ?? "");
  }

  /** @param {any} uPlot null: without */
  draw(uPlot) {
    const look = { swatches: this.swatches, joined: this.kind.joined ?? false, steps: this.kind.steps ?? null, format: this.kind.format, pointed: (/** @type {number | null} */ index) => this.#tell(index) };
    this.#drawing = uPlot ? drawWith(uPlot, this.#canvas, look) : drawPlain(this.#canvas, look);
  }

  redraw() {
    this.#drawing?.redraw();
  }

  /** @param {Point[]} points */
  show(points) {
    const columns = columnsOf(points, this.kind);
    this.#columns = columns;
    columns.slice(1).forEach((line, index) => { // a line of which nothing is known isn't named
      const holder = this.entries[index];
      if (holder) holder.hidden = line.every((value) => value === null);
    });
    const none = columns.slice(1).every((line) => line.every((value) => value === null));
    this.#none.hidden = !none;
    this.field.hidden = none;
    this.table.hidden = none;
    this.#draw();
    this.#fill();
  }

  /** @param {number} line @param {number} index @returns {string} */
  #word(line, index) {
    const value = this.#columns[line + 1]?.[index];
    return typeof value === "number" ? this.kind.format(value) : t("admin.plot_no_value");
  }

  /** A line's newest value: its last one that is known. @param {number} line */
  #latest(line) {
    return this.#columns[line + 1]?.findLastIndex((value) => value !== null) ?? -1;
  }

  /** @param {number | null} index */
  #words(index) {
    return this.names.filter((_, line) => !this.entries[line]?.hidden && !this.#isOff(line))
      .map((name) => t("admin.plot_value", { name, value: this.#word(this.names.indexOf(name), index ?? this.#latest(this.names.indexOf(name))) })).join(", ");
  }

  /** The legend says the values at a point, else the newest. @param {number | null} index */
  #tell(index) {
    const at = index === null ? undefined : this.#columns[0][index];
    this.values.forEach((value, line) => setText(value, this.#word(line, index ?? this.#latest(line))));
    setText(this.#times, at === undefined ? t("admin.plot_latest") : clock(new Date(at * 1000)));
    if (at === undefined) this.field.setAttribute("aria-label", t("admin.plot_label", { title: this.title, values: this.#words(null) }));
  }

  /** @param {number | null} index @param {boolean} [quiet] */
  #point(index, quiet = false) {
    this.#at = index;
    this.#drawing?.mark(index);
    this.#tell(index);
    const at = index === null ? undefined : this.#columns[0][index];
    if (!quiet && at !== undefined) announce(t("admin.plot_at", { time: clock(new Date(at * 1000)), values: this.#words(index) }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = this.#columns[0].length - 1;
    const at = this.#at ?? last + 1;
    const step = event.shiftKey ? 10 : 1;
    /** @type {Record<string, number>} */
    const to = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: last };
    const index = to[event.key];
    if (index === undefined || last < 0) return;
    event.preventDefault();
    this.#point(Math.max(0, Math.min(last, index)));
  }

  /** The table, newest first: so many rows of those that there are. */
  #fill() {
    if (!this.table.open) return;
    const [xs] = this.#columns;
    const every = Math.max(1, Math.ceil(xs.length / ROWS));
    const rows = [];
    for (let index = xs.length - 1; index >= 0; index -= every) {
      const cells = this.names.map((_, line) => h("td", { className: "num" }, this.#word(line, index)));
      rows.push(h("tr", {}, h("td", {}, dateTime(new Date(/** @type {number} */ (xs[index]) * 1000))), ...cells));
    }
    this.body.replaceChildren(...rows);
  }
}

export class Plots {
  #all = KINDS.map((kind) => new Plot(kind));
  /** @type {Point[]} */
  #points = [];
  #drawn = false;
  #details = /** @type {HTMLDetailsElement} */ ($("plots"));

  constructor() {
    this.#details.open = (kept(CLOSED) ?? (matchMedia("(max-width: 48rem)").matches ? "closed" : "open")) === "open"; // where it is narrow, the list comes first
    const stretch = /** @type {HTMLSelectElement} */ ($("plots-stretch"));
    const before = kept(STRETCH);
    if (before && [...stretch.options].some((option) => option.value === before)) stretch.value = before;
    stretch.addEventListener("change", () => {
      keep(STRETCH, stretch.value);
      this.#fill();
    });
    this.#details.addEventListener("toggle", () => {
      keep(CLOSED, this.#details.open ? "open" : "closed");
      this.#fill();
    });
    const redraw = () => this.#all.forEach((plot) => plot.redraw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** @param {import("./admin-overview.js").OverviewBody | null} body null: it can't be had, and never could */
  async show(body) {
    this.#points = body ? [...body.history.points.filter((point) => timeOf(point) < timeOf(body.now)), body.now] : [];
    const few = this.#points.length < 2;
    $("plots-note").hidden = !few;
    setText($("plots-note"), t(body ? "admin.plots_none" : "admin.plots_failed"));
    $("plots-grid").hidden = few;
    if (!few) await this.#fill();
  }

  async #fill() {
    if (!this.#details.open || this.#points.length < 2) return;
    if (!this.#drawn) await this.#draw();
    const since = Date.now() - Number($("plots-stretch").value) * HOUR;
    const points = this.#points.filter((point) => timeOf(point) >= since);
    for (const plot of this.#all) plot.show(points);
  }

  /** The plots are made when they are first seen. */
  async #draw() {
    this.#drawn = true;
    /** @type {any} */
    let made = null;
    try {
      [made] = await Promise.all([library("plot"), document.documentElement.dataset.libraries === "no" ? null : sheet("lib/plot.css")]);
    } catch { /* the library didn't come: the plain way shows the same */ }
    $("plots-grid").replaceChildren(...this.#all.map((plot) => plot.element));
    for (const plot of this.#all) plot.draw(made?.uPlot);
  }
}
