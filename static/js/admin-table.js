// The operator's list of sessions: search, filter, order, pages, and the row that the keys move.

import { get, post, sessionPath } from "./api.js";
import { deleteSession } from "./delete.js";
import { confirmDelete, confirmStop, whileBusy } from "./dialog.js";
import { $, announce, h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { addressOf, isNarrowed, keepSize, listPath, readQuery } from "./admin-query.js";
import { Row } from "./admin-row.js";

/** @typedef {import("./admin-row.js").SessionBody} SessionBody */
/** @typedef {import("./admin-query.js").Query} Query */
/** @typedef {{ open: (session: SessionBody) => void, choice: import("./admin-choice.js").Choice, changed: (query: Query) => void }} Uses */

const TYPED = 250;

export class Table {
  query = readQuery(location.search);
  total = 0;
  /** In the order shown. @type {Row[]} */
  rows = [];
  /** @type {Map<string, Row>} */
  #known = new Map();
  #body = /** @type {HTMLElement} */ ($("rows"));
  #table = /** @type {HTMLTableElement} */ (this.#body.closest("table"));
  #current = "";
  #asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  /** The session from which a range is chosen. */
  #anchor = "";

  /** @param {Uses} uses */
  constructor(uses) {
    this.uses = uses;
    this.choice = uses.choice;
    this.choice.watch(() => this.#showChoice());
    this.#controls();
    this.#body.addEventListener("focusin", (event) => this.#step(this.#rowOf(event.target)));
    this.#body.addEventListener("click", (event) => this.#pick(/** @type {MouseEvent} */ (event)));
    addEventListener("popstate", () => {
      this.query = readQuery(location.search);
      this.refresh();
    });
  }

  #controls() {
    $("filter").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    $("q").addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.ask({ q: $("q").value.trim() }, true), TYPED);
    });
    $("filter-phase").addEventListener("change", () => this.ask({ phase: $("filter-phase").value }));
    $("size").addEventListener("change", () => {
      const limit = Number($("size").value);
      keepSize(limit);
      this.ask({ limit, page: Math.floor((this.query.page * this.query.limit) / limit) });
    });
    $("owner-drop").addEventListener("click", () => this.ask({ owner: "" }).then(() => $("q").focus()));
    $("clear").addEventListener("click", () => this.ask({ q: "", phase: "", owner: "" }).then(() => $("q").focus()));
    for (const head of this.#heads()) {
      const sort = head.dataset.sort ?? "";
      head.querySelector("button")?.addEventListener("click", () => this.#sort(sort, head.textContent ?? ""));
    }
    /** @type {[string, () => number][]} */
    const ways = [["first", () => 0], ["prev", () => this.query.page - 1], ["next", () => this.query.page + 1], ["last", () => this.pages - 1]];
    for (const [id, page] of ways) $(id).addEventListener("click", () => this.turn(page()));
  }

  #heads() {
    return /** @type {HTMLElement[]} */ ([...this.#table.querySelectorAll("th[data-sort]")]);
  }

  get pages() {
    return Math.max(1, Math.ceil(this.total / this.query.limit));
  }

  /** @param {string} sort @param {string} column */
  async #sort(sort, column) {
    const order = this.query.sort === sort && this.query.order === "asc" ? "desc" : "asc";
    await this.ask({ sort, order });
    announce(t("admin.sorted", { column: column.trim(), order: t(`admin.${order}`) }));
  }

  /** Another page of the same. @param {number} page */
  async turn(page) {
    if (page < 0 || page >= this.pages) return;
    const moved = this.#body.contains(document.activeElement);
    this.#current = "";
    await this.ask({ page });
    if (moved) this.focus();
    announce($("page-number").textContent ?? "");
  }

  /** Asks for something else, and says how much of that there is. @param {Partial<Query>} change @param {boolean} [typed] as it is typed, it makes no steps to go back */
  async ask(change, typed = false) {
    const narrowed = "q" in change || "phase" in change || "owner" in change;
    this.query = { ...this.query, ...("page" in change ? {} : { page: 0 }), ...change };
    const to = addressOf(this.query);
    if (typed) history.replaceState(null, "", to);
    else history.pushState(null, "", to);
    await this.refresh();
    if (narrowed) announce(t("admin.matches", { count: this.total }));
  }

  async refresh() {
    const turn = ++this.#asked;
    this.#showQuery();
    try {
      const answer = await get(listPath(this.query));
      if (turn !== this.#asked) return;
      $("list-error").hidden = true;
      this.#show(answer);
    } catch (error) {
      if (turn !== this.#asked) return;
      const problem = /** @type {import("./api.js").Problem} */ (error);
      if (problem.status === 401) return location.assign("/login");
      setText($("list-error"), t("sessions.stale", { reason: problem.message }));
      $("list-error").hidden = false;
    } finally {
      if (turn === this.#asked) this.#body.removeAttribute("aria-busy");
    }
  }

  /** The fields say what is asked for, whoever asked. */
  #showQuery() {
    const { q, phase, owner, limit, sort, order } = this.query;
    const field = $("q");
    if (field.value.trim() !== q && field !== document.activeElement) field.value = q;
    $("filter-phase").value = phase;
    $("size").value = String(limit);
    $("owner-drop").hidden = !owner;
    setText($("owner-drop"), owner ? `${t("admin.owner_is", { owner })} ✕` : "");
    $("clear").hidden = !isNarrowed(this.query);
    for (const head of this.#heads()) {
      if (head.dataset.sort === sort) head.setAttribute("aria-sort", order === "asc" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    this.uses.changed(this.query);
  }

  /** @param {{ sessions: SessionBody[], total: number }} answer */
  #show({ sessions, total }) {
    this.total = total;
    if (!sessions.length && this.query.page > 0) return void this.ask({ page: this.pages - 1 }, true);
    const focused = /** @type {HTMLElement | null} */ (this.#body.contains(document.activeElement) ? document.activeElement : null);
    const before = this.rows.findIndex((row) => row.session.id === this.#current);
    this.#place(sessions);
    this.choice.refresh(sessions);
    this.#showChoice();
    const { page, limit } = this.query;
    this.#table.setAttribute("aria-rowcount", String(total + 1));
    this.rows.forEach((row, index) => row.element.setAttribute("aria-rowindex", String(page * limit + index + 2)));
    const from = page * limit + 1;
    setText($("page-number"), sessions.length ? t("admin.range", { from, to: from + sessions.length - 1, total }) : "");
    setText($("page-of"), t("admin.page_of", { page: page + 1, pages: this.pages }));
    for (const id of ["first", "prev"]) $(id).disabled = page === 0;
    for (const id of ["next", "last"]) $(id).disabled = page >= this.pages - 1;
    if (!this.#known.has(this.#current)) this.#step(this.rows[Math.min(Math.max(before, 0), this.rows.length - 1)]);
    // Moving an element takes the focus away from it; a row that is gone leaves it to its neighbour.
    if (focused && focused !== document.activeElement) {
      if (focused.isConnected) focused.focus({ preventScroll: true });
      else this.focus();
    }
  }

  /** Puts the rows in their order, moving none that stands right. @param {SessionBody[]} sessions */
  #place(sessions) {
    const ids = new Set(sessions.map((session) => session.id));
    for (const element of [...this.#body.children]) {
      const id = /** @type {HTMLElement} */ (element).dataset.session ?? "";
      if (ids.has(id)) continue;
      element.remove();
      this.#known.delete(id);
    }
    this.rows = sessions.map((session, index) => {
      const known = this.#known.get(session.id);
      const row = known ?? new Row(session, (deed, of) => this.#act(deed, of));
      if (known) row.show(session);
      this.#known.set(session.id, row);
      if (this.#body.children[index] !== row.element) this.#body.insertBefore(row.element, this.#body.children[index] ?? null);
      return row;
    });
    if (!sessions.length) {
      const words = t(isNarrowed(this.query) ? "admin.none_filter" : "admin.none_at_all");
      this.#body.append(h("tr", { role: "row" }, h("td", { role: "gridcell", colSpan: 10, className: "muted nothing" }, words)));
    }
  }

  /** What a row's button or link is for. @param {import("./admin-row.js").Deed} deed @param {Row} row */
  async #act(deed, row) {
    const { session, title } = row;
    const at = sessionPath(session.id);
    if (deed === "open") return this.uses.open(session);
    if (deed === "owner") return this.ask({ owner: session.owner });
    if (deed === "start") await whileBusy(row.start, () => post(`${at}/start`));
    else if (deed === "stop" && (await confirmStop(title))) await whileBusy(row.stop, () => post(`${at}/stop`));
    else if (deed === "delete" && (await confirmDelete(title, session.head))) await whileBusy(row.remove, () => deleteSession(session.id));
    await this.refresh();
    if (document.activeElement === document.body) this.focus();
  }

  /** @param {EventTarget | null} target */
  #rowOf(target) {
    const element = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("tr[data-session]")) : null;
    return this.#known.get(element?.dataset.session ?? "");
  }

  /** Makes a row the one on the Tab key's way. @param {Row | undefined} row */
  #step(row) {
    if (!row || (row.session.id === this.#current && row.element.tabIndex === 0)) return;
    this.#known.get(this.#current)?.current(false);
    this.#current = row.session.id;
    row.current(true);
  }

  get current() {
    return this.#known.get(this.#current);
  }

  /** The current row gets the focus. */
  focus() {
    const row = this.current;
    if (row) row.element.focus();
    else $("q").focus();
  }

  /** A session's row, where it is shown; else the current one. @param {string} id */
  focusOn(id) {
    this.#step(this.#known.get(id));
    this.focus();
  }

  /** Goes to another row; the first press only shows where one is. @param {number} by @param {boolean} [choosing] */
  move(by, choosing = false) {
    const at = this.rows.findIndex((row) => row.session.id === this.#current);
    const inside = this.#body.contains(document.activeElement);
    const to = this.rows[Math.max(0, Math.min(this.rows.length - 1, inside ? at + by : Math.max(at, 0)))];
    if (!to) return;
    if (choosing) {
      if (this.current) this.choice.set([this.current.session], true);
      this.choice.set([to.session], true);
    }
    this.#step(to);
    to.element.focus();
  }

  /** The current row is chosen, or no longer. */
  toggle() {
    const row = this.current;
    if (!row) return;
    this.#anchor = row.session.id;
    this.choice.set([row.session], !this.choice.has(row.session.id));
  }

  /** All on this page, or none of them if all are. */
  togglePage() {
    const all = this.rows.map((row) => row.session);
    this.choice.set(all, !all.every((session) => this.choice.has(session.id)));
  }

  /** A check box: with Shift from the last one to here. @param {MouseEvent} event */
  #pick(event) {
    const box = event.target instanceof HTMLInputElement ? event.target : null;
    const row = this.#rowOf(box);
    if (!box || !row) return;
    const to = this.rows.indexOf(row);
    const from = event.shiftKey ? this.rows.findIndex((one) => one.session.id === this.#anchor) : -1;
    const [low, high] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
    this.#anchor = row.session.id;
    this.choice.set(this.rows.slice(low, high + 1).map((one) => one.session), box.checked);
  }

  #showChoice() {
    let count = 0;
    for (const row of this.rows) {
      const is = this.choice.has(row.session.id);
      if (is) count += 1;
      row.chosen(is);
    }
    const all = $("choose-page");
    all.checked = count > 0 && count === this.rows.length;
    all.indeterminate = count > 0 && count < this.rows.length;
    all.disabled = this.rows.length === 0;
  }
}
