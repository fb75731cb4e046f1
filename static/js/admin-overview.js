// The overview: how many sessions are in which phase, as links into the list, and the server's figures of this moment.

import { get } from "./api.js";
import { $, h, setText } from "./dom.js";
import { bytes, clock, dateTime, duration, elapsed, figures, number, parseTime, t } from "./i18n.js";
import { PHASES } from "./admin-query.js";

/**
 * @typedef {object} Point
 * @property {string} at RFC 3339
 * @property {Record<string, number>} sessions by phase
 * @property {number} clients
 * @property {number} events since the server started
 * @property {number} starts since the server started
 * @property {{ p50: number, p95: number } | null} start_ms of the starts since the last point
 * @property {number} faults since the server started
 * @property {number | null} cpu cores used since the last point
 * @property {number | null} memory the server's bytes
 * @property {number | null} load the machine's, over a minute
 * @property {{ memory: number | null }} [sandboxes]
 */
/** @typedef {{ now: Point, history: { every_seconds: number, points: Point[] } }} OverviewBody */

/** Over so long a rate is taken, in milliseconds. */
const RATE_OVER = 60_000;
const HOUR = 3_600_000;
const FIGURES = /** @type {const} */ (["starts", "events", "cpu", "memory", "clients", "faults", "up", "version"]);

/** @param {Point} point */
export const timeOf = (point) => parseTime(point.at).getTime();

/** The oldest point that isn't older than so long before the newest. @param {Point[]} points @param {number} now @param {number} ms @returns {Point | undefined} */
const since = (points, now, ms) => points.find((point) => timeOf(point) >= now - ms);

/** Events per second between two points; nothing where the server began anew between them. @param {Point | undefined} from @param {Point} to @returns {number | null} */
export function rate(from, to) {
  if (!from) return null;
  const seconds = (timeOf(to) - timeOf(from)) / 1000;
  const events = to.events - from.events;
  return seconds > 0 && events >= 0 ? events / seconds : null;
}

/** @param {number} value @param {number} [digits] */
export const decimal = (value, digits = 2) => new Intl.NumberFormat(figures, { maximumFractionDigits: value >= 100 ? 0 : digits }).format(value);

export class Overview {
  /** @type {Map<string, { value: HTMLElement, more: HTMLElement }>} */
  #figures = new Map();
  /** @type {OverviewBody | null} */
  #last = null;

  /** @param {{ engine: import("./admin-engine.js").Engine, filter: (phase: string) => void, drawn: (body: OverviewBody | null) => void }} uses */
  constructor(uses) {
    this.uses = uses;
    for (const name of FIGURES) {
      const parts = { value: h("dd", { className: "value" }, "–"), more: h("dd", { className: "more" }) };
      this.#figures.set(name, parts);
      $("figures").append(h("div", { data: { figure: name } }, h("dt", {}, t(`admin.fig_${name}`)), parts.value, parts.more));
    }
    $("counts").addEventListener("click", (/** @type {MouseEvent} */ event) => {
      const link = event.target instanceof Element ? /** @type {HTMLElement | null} */ (event.target.closest("a[data-count]")) : null;
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab or window is the browser's
      event.preventDefault();
      this.uses.filter(link.dataset.count ?? "");
    });
  }

  /** Which count is the list's filter. @param {string} phase */
  mark(phase) {
    for (const link of document.querySelectorAll("#counts a")) {
      if (/** @type {HTMLElement} */ (link).dataset.count === phase) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  async refresh() {
    try {
      const body = /** @type {OverviewBody} */ (await get("/api/admin/overview"));
      this.#last = body;
      $("overview-error").hidden = true;
      this.#show(body);
      this.uses.drawn(body);
    } catch (error) {
      const { status, message } = /** @type {import("./api.js").Problem} */ (error);
      const words = status === 404 ? t("admin.overview_missing") : t("admin.overview_failed", { reason: message });
      setText($("overview-error"), this.#last ? `${words} ${t("admin.as_of", { time: clock(parseTime(this.#last.now.at)) })}` : words);
      $("overview-error").hidden = false;
      if (!this.#last) this.uses.drawn(null);
      this.#server();
    }
  }

  /** @param {string} name @param {string} value @param {string} [more] */
  #figure(name, value, more = "") {
    const parts = this.#figures.get(name);
    if (!parts) return;
    setText(parts.value, value);
    setText(parts.more, more);
  }

  /** @param {OverviewBody} body */
  #show({ now, history: { points } }) {
    this.#counts(now.sessions);
    const at = timeOf(now);
    const started = now.start_ms ? now : points.findLast((point) => point.start_ms);
    if (started?.start_ms) {
      const { p50, p95 } = started.start_ms;
      this.#figure("starts", duration(Math.round(p50)), t("admin.fig_starts_more", { p95: duration(Math.round(p95)), time: clock(parseTime(started.at)) }));
    } else this.#figure("starts", "–", t("admin.fig_starts_none"));
    const events = rate(since(points, at, RATE_OVER), now);
    this.#figure("events", events === null ? "–" : t("admin.fig_events_value", { rate: decimal(events) }), t("admin.fig_events_more", { count: now.events }));
    this.#figure("cpu", now.cpu === null ? "–" : t("admin.fig_cpu_value", { count: Math.round(now.cpu * 100) / 100 }), now.load === null ? "" : t("admin.fig_cpu_more", { load: decimal(now.load) }));
    const inSandboxes = now.sandboxes?.memory;
    this.#figure("memory", now.memory === null ? "–" : bytes(now.memory), inSandboxes === null || inSandboxes === undefined ? t("admin.fig_memory_only") : t("admin.fig_memory_more", { bytes: bytes(inSandboxes) }));
    this.#figure("clients", number(now.clients), t("admin.fig_clients_more", { count: now.starts }));
    const hourAgo = since(points, at, HOUR);
    const lately = hourAgo && now.faults >= hourAgo.faults ? now.faults - hourAgo.faults : now.faults;
    this.#figure("faults", number(now.faults), t("admin.fig_faults_more", { count: lately }));
    $("figures").querySelector("[data-figure=faults]").classList.toggle("wrong", lately > 0);
    this.#server();
  }

  /** What `/health` says, which is there without an overview. */
  #server() {
    const { health } = this.uses.engine;
    if (!health) return;
    const began = new Date(health.at - health.uptime * 1000);
    this.#figure("up", elapsed(Date.now() - began.getTime()), t("admin.fig_up_more", { time: dateTime(began) }));
    this.#figure("version", health.version);
  }

  /** @param {Record<string, number>} sessions */
  #counts(sessions) {
    const all = PHASES.reduce((sum, phase) => sum + (sessions[phase] ?? 0), 0);
    for (const link of document.querySelectorAll("#counts a")) {
      const { count = "" } = /** @type {HTMLElement} */ (link).dataset;
      const value = count ? sessions[count] ?? 0 : all;
      setText(/** @type {HTMLElement} */ (link.querySelector("strong")), number(value));
      link.classList.toggle("zero", value === 0);
    }
  }
}
