// Every event as one row: what, when, from whom; one of them whole beside the rows.

import { kindOf, summaryOf } from "../event-words.js";
import { notice } from "../dialog.js";
import { h, setText, sheet } from "../dom.js";
import { clock, parseTime, t, word } from "../i18n.js";
import { linked, places } from "../places.js";
import { Detail } from "../timeline-detail.js";
import { Search, kindKey, matches, narrows } from "../timeline-filter.js";
import { VirtualList } from "../virtual.js";

const SOURCES = ["user", "agent", "environment"];
/** Milliseconds after the last letter before a search begins. */
const PAUSE = 150;

/** One event: a row as virtual.js wants it. */
class EventRow {
  kind = "row";
  index = -1;
  height = 0;
  guess = 30;
  /** @type {HTMLElement | null} */
  #element = null;

  /** @param {any} event */
  constructor(event) {
    this.event = event;
  }

  get name() {
    return `timeline-${this.event.id}`;
  }

  show() {
    this.#element ??= this.#make();
    return this.#element;
  }

  leave() {
    this.#element = null;
  }

  #make() {
    const { id, source = "environment", timestamp = "", action, observation, extras = {} } = this.event;
    const bad = observation === "error" || extras.phase === "failed";
    return h("li", { id: this.name, role: "option", className: `tl-row${action ? " acts" : ""}${bad ? " fail" : ""}`, data: { id: String(id) }, "aria-selected": "false" },
      h("span", { className: "tl-id" }, `#${id}`), h("time", { dateTime: timestamp }, clock(parseTime(timestamp))), h("span", { className: "tl-source", data: { source } }, word("event", source)),
      h("span", { className: "tl-kind", title: t(action ? "timeline.action" : "timeline.observation") }, kindOf(this.event)), h("span", { className: "tl-what" }, summaryOf(this.event)));
  }
}

class Timeline {
  /** @type {EventRow[]} */
  #rows = [];
  /** The observation of an action. @type {Map<number, number>} */
  #results = new Map();
  /** @type {Map<string, number>} */
  #kinds = new Map();
  /** @type {EventRow | null} */
  #current = null;
  /** An event that the address named before it was here. */
  #awaited = -1;
  #searching = false;
  #visible = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #search = new Search();
  #text = h("input", { type: "search", "aria-label": t("timeline.search"), placeholder: t("timeline.search"), on: { input: () => this.#soon() } });
  #source = h("select", { "aria-label": t("timeline.source"), on: { change: () => this.#sift() } }, h("option", { value: "" }, t("timeline.any_source")), ...SOURCES.map((source) => h("option", { value: source }, word("event", source))));
  #kind = h("select", { "aria-label": t("timeline.kind"), on: { change: () => this.#sift() } }, h("option", { value: "" }, t("timeline.any_kind")));
  #follow = h("input", { type: "checkbox", checked: true, on: { change: () => this.#setFollow(this.#follow.checked) } });
  #count = h("span", { className: "small muted", role: "status" });
  #none = h("p", { className: "empty", hidden: true });
  #list = h("ol", { className: "tl-list", role: "listbox", tabIndex: 0, "aria-label": t("pane.timeline") });
  #scroll = h("div", { className: "tl-scroll" }, this.#list);
  #detail = new Detail({ go: (id) => this.#open(id), talk: (id) => this.#talk(id), close: () => this.#close() });
  #virtual;

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    host.classList.add("timeline");
    host.append(h("div", { className: "pane-bar" }, this.#text, this.#source, this.#kind, h("label", { className: "check" }, this.#follow, t("timeline.follow")), h("span", { className: "grow" }), this.#count),
      h("div", { className: "tl-body" }, h("div", { className: "tl-rows" }, this.#scroll, this.#none), this.#detail.element));
    this.#virtual = new VirtualList({ scroll: this.#scroll, list: this.#list, resumes: false, scrolled: (atEnd) => { this.#follow.checked = atEnd; }, placed: (row, element) => this.#placed(/** @type {EventRow} */ (row), element) });
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => this.#click(event));
    addEventListener("hashchange", () => this.#fromAddress());
    places.row = (id) => this.#open(id);
    this.#sync();
    this.#fromAddress();
  }

  event() {
    this.#sync();
  }

  shown() {
    this.#visible = true;
    this.#virtual.render();
    if (this.#current) this.#virtual.reveal(this.#current, "nearest");
  }

  hidden() {
    this.#visible = false;
  }

  /** Takes what the page has and this pane hasn't. */
  #sync() {
    const { events } = this.context;
    const wish = this.#wish;
    for (let at = this.#rows.length; at < events.length; at += 1) {
      const event = events[at];
      const row = new EventRow(event);
      this.#rows.push(row);
      if (event.observation && typeof event.cause === "number") this.#results.set(event.cause, event.id);
      this.#note(kindKey(event));
      if (!this.#searching) this.#add(row, wish);
    }
    this.#say();
    if (this.#visible) this.#virtual.schedule();
    if (this.#awaited >= 0 && this.#find(this.#awaited)) this.#open(this.#awaited);
  }

  /** @param {EventRow} row @param {import("../timeline-filter.js").Wish} wish */
  #add(row, wish) {
    if (!narrows(wish) || matches(row.event, wish)) this.#virtual.push(row);
  }

  /** A kind that is there can be chosen. @param {string} key */
  #note(key) {
    const count = this.#kinds.get(key) ?? 0;
    this.#kinds.set(key, count + 1);
    if (count > 0) return;
    const [what = "", name = ""] = key.split(":");
    const option = h("option", { value: key }, t(`timeline.kind_${what}`, { name }));
    const after = [...this.#kind.options].slice(1).find((other) => other.value > key);
    this.#kind.insertBefore(option, after ?? null);
  }

  get #wish() {
    return { kind: this.#kind.value, source: this.#source.value, text: this.#text.value };
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#sift(), PAUSE);
  }

  #sift() {
    clearTimeout(this.#timer);
    const wish = this.#wish;
    this.#searching = true;
    this.#search.start(this.#rows, wish, (found) => {
      this.#searching = false;
      if (this.#current && !found.includes(this.#current)) this.#setCurrent(null);
      this.#virtual.reset(found);
      this.#say();
    });
    this.#say();
  }

  #say() {
    const of = this.#rows.length;
    const shown = this.#virtual.rows.length;
    setText(this.#count, this.#searching ? t("timeline.searching") : shown === of ? t("session.event_count", { count: of }) : t("timeline.some", { count: shown, of }));
    this.#none.hidden = shown > 0 || this.#searching;
    setText(this.#none, t(of > 0 ? "timeline.no_match" : "timeline.none"));
  }

  /** @param {boolean} yes */
  #setFollow(yes) {
    this.#virtual.atEnd = yes;
    if (yes) this.#virtual.toEnd();
  }

  /** @param {EventRow} row @param {HTMLElement} element */
  #placed(row, element) {
    element.ariaSelected = String(row === this.#current);
    element.ariaPosInSet = String(row.index + 1);
    element.ariaSetSize = String(this.#virtual.rows.length);
  }

  /** @param {number} id @returns {EventRow | undefined} */
  #find(id) {
    return this.#rows[id - (this.#rows[0]?.event.id ?? 0)];
  }

  #fromAddress() {
    const id = linked();
    if (id >= 0) this.#open(id);
  }

  /** Shows an event whole; one that isn't here yet as soon as it is. @param {number} id */
  #open(id) {
    const row = this.#find(id);
    this.#awaited = row ? -1 : id;
    if (!row) return;
    if (this.#virtual.rows[row.index] !== row) {
      this.#text.value = this.#source.value = this.#kind.value = "";
      this.#virtual.reset([...this.#rows]);
      this.#say();
    }
    this.#show(row);
    this.#setCurrent(row, "center");
  }

  /** @param {EventRow} row */
  #show(row) {
    this.#detail.show(row.event, this.#results.get(row.event.id));
    this.#setFollow(false);
    this.#follow.checked = false;
  }

  /** @param {EventRow | null} row @param {"center" | "nearest"} [block] */
  #setCurrent(row, block = "nearest") {
    const before = this.#current;
    this.#current = row;
    if (before) {
      this.#virtual.pin(before, false);
      before.show().ariaSelected = "false";
    }
    if (!row) {
      this.#list.removeAttribute("aria-activedescendant");
      return;
    }
    this.#virtual.pin(row, true);
    if (this.#visible) this.#virtual.reveal(row, block);
    row.show().ariaSelected = "true";
    this.#list.setAttribute("aria-activedescendant", row.name);
  }

  #close() {
    const inside = this.#detail.element.contains(document.activeElement);
    this.#detail.close();
    if (linked() >= 0) history.replaceState(history.state, "", location.pathname + location.search);
    if (inside) this.#list.focus();
  }

  /** @param {number} id */
  async #talk(id) {
    await this.context.show("talk"); // where there is room for one of both only
    if (!places.card?.(id)) notice(t("timeline.not_there"));
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const row = /** @type {EventRow | undefined} */ (this.#virtual.rowOf(/** @type {Node} */ (event.target)));
    if (!row || !getSelection()?.isCollapsed) return;
    this.#show(row);
    this.#setCurrent(row);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const rows = /** @type {EventRow[]} */ (this.#virtual.rows);
    const page = Math.max(1, Math.floor(this.#scroll.clientHeight / (this.#current?.height || 30)) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (step !== undefined) this.#move(rows, step);
    else if (event.key === "Enter" || event.key === " ") this.#current && this.#show(this.#current);
    else if (event.key === "Escape" && this.#detail.open) this.#close();
    else return;
    event.preventDefault();
  }

  /** @param {EventRow[]} rows @param {number} step */
  #move(rows, step) {
    const from = this.#current ? this.#current.index : step > 0 ? -1 : rows.length;
    const row = rows[Math.max(0, Math.min(rows.length - 1, from + step))];
    if (!row) return;
    this.#setCurrent(row);
    if (this.#detail.open) this.#show(row);
    if (step === Infinity) this.#setFollow(!this.#detail.open);
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context @returns {Promise<import("../panes.js").Pane>} */
export default async function open(host, context) {
  await sheet("css/timeline.css");
  return new Timeline(host, context);
}
