// The bar of the chosen sessions: start, stop or delete many, with progress, an end before the end, and what failed.

import { Problem, post, sessionPath } from "./api.js";
import { deleteSession } from "./delete.js";
import { stoppable, titleOf } from "./badges.js";
import { complain, notice } from "./dialog.js";
import { $, announce, h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { BOUND } from "./admin-choice.js";
import { confirmMany } from "./admin-losses.js";
import { startable } from "./admin-row.js";
import { workThrough } from "./admin-work.js";

/** @typedef {import("./admin-row.js").SessionBody} SessionBody */
/** @typedef {"start" | "stop" | "delete"} Deed */
/** @typedef {import("./admin-work.js").Outcome<SessionBody>} Outcome */

/** Failures that are listed; all are tried again. */
const LISTED = 50;
/** The codes that count as done, since what was wanted is so. @type {Partial<Record<Deed, RegExp>>} */
const SO_ALREADY = { stop: /^session\.already_stopped$/, delete: /^session\.not_found$/ };
/** @type {Record<Deed, (session: SessionBody) => boolean>} */
const CAN = { start: ({ phase }) => startable(phase), stop: ({ phase }) => stoppable(phase), delete: () => true };

/** @param {Deed} deed @param {SessionBody} session */
async function treat(deed, { id }) {
  try {
    await (deed === "delete" ? deleteSession(id) : post(`${sessionPath(id)}/${deed}`));
  } catch (error) {
    if (!(error instanceof Problem && SO_ALREADY[deed]?.test(error.code))) throw error;
  }
}

export class Bulk {
  #bar = /** @type {HTMLElement} */ ($("bulk"));
  /** What is under way, and ends what it does. @type {AbortController | null} */
  #work = null;
  /** What the last work left to be tried again. @type {SessionBody[]} */
  #again = [];
  /** @type {Deed} */
  #deed = "start";
  #spoken = 0;

  /** @param {import("./admin-choice.js").Choice} choice @param {import("./admin-table.js").Table} table */
  constructor(choice, table) {
    this.choice = choice;
    this.table = table;
    choice.watch(() => this.show());
    for (const deed of /** @type {Deed[]} */ (["start", "stop", "delete"])) $(`bulk-${deed}`).addEventListener("click", () => this.#ask(deed));
    $("choose-page").addEventListener("click", () => table.togglePage());
    $("choose-matching").addEventListener("click", () => this.#all());
    $("choose-none").addEventListener("click", () => this.none());
    $("bulk-cancel").addEventListener("click", () => this.#cancel());
    $("bulk-retry").addEventListener("click", () => this.#run(this.#deed, this.#again));
    $("bulk-dismiss").addEventListener("click", () => this.#dismiss());
    addEventListener("beforeunload", (event) => this.#work && event.preventDefault());
  }

  /** Chooses none, and goes back to the list. */
  none() {
    const inside = this.#bar.contains(document.activeElement);
    this.choice.clear();
    if (inside) this.table.focus();
  }

  /** The first button that can be used gets the focus. */
  focus() {
    const button = /** @type {HTMLElement | null} */ (this.#bar.querySelector("button:not(:disabled, [hidden], [hidden] *)"));
    if (this.#bar.hidden || !button) announce(t("admin.chosen_none"));
    else button.focus();
  }

  show() {
    const { size } = this.choice;
    const { total } = this.table;
    const busy = this.#work !== null;
    this.#bar.hidden = size === 0 && !busy && $("bulk-result").hidden;
    $("bulk-choice").hidden = size === 0 || busy;
    $("bulk-progress").hidden = !busy;
    setText($("bulk-count"), t("admin.chosen", { count: size }));
    $("choose-matching").hidden = size >= Math.min(total, BOUND);
    setText($("choose-matching"), t("admin.choose_matching", { count: total }));
    const { sessions } = this.choice;
    for (const deed of /** @type {Deed[]} */ (["start", "stop", "delete"])) $(`bulk-${deed}`).disabled = !sessions.some(CAN[deed]);
  }

  #begin() {
    this.#work = new AbortController();
    this.#spoken = 0;
    $("bulk-cancel").disabled = false;
    setText($("bulk-cancel"), t("action.cancel"));
    $("bulk-result").hidden = true;
    $("bulk-bar").removeAttribute("value");
    this.show();
    $("bulk-cancel").focus();
    return this.#work.signal;
  }

  #end() {
    this.#work = null;
    this.show();
  }

  #cancel() {
    this.#work?.abort();
    $("bulk-cancel").disabled = true;
    setText($("bulk-cancel"), t("admin.cancelling"));
  }

  /** @param {string} words @param {number} done @param {number} total */
  #progress(words, done, total) {
    setText($("bulk-doing"), words);
    $("bulk-bar").max = total;
    $("bulk-bar").value = done;
    // By quarters: people who listen want to know that it goes on, not each number.
    const quarter = Math.floor((4 * done) / Math.max(1, total));
    if (quarter > this.#spoken && quarter < 4) announce(words);
    this.#spoken = quarter;
  }

  async #all() {
    const signal = this.#begin();
    try {
      const whole = await this.choice.matching(this.table.query, signal, (done, total) => this.#progress(t("admin.choosing", { done, total }), done, total));
      if (!whole) notice(t("admin.choose_bound", { count: BOUND }));
    } catch (error) {
      if (!signal.aborted) complain(error);
    }
    this.#end();
    announce(t("admin.chosen", { count: this.choice.size }));
    this.focus();
  }

  /** @param {Deed} deed */
  async #ask(deed) {
    const chosen = this.choice.sessions;
    const fit = chosen.filter(CAN[deed]);
    if (!fit.length) return notice(t("admin.bulk_nothing"));
    if (deed !== "start" && !(await confirmMany(deed, fit, chosen.length - fit.length))) return;
    await this.#run(deed, fit);
  }

  /** @param {Deed} deed @param {SessionBody[]} sessions */
  async #run(deed, sessions) {
    const signal = this.#begin();
    this.#deed = deed;
    const total = sessions.length;
    const tell = (/** @type {Outcome} */ { done, failed }) => {
      const words = t(`admin.doing_${deed}`, { done: done.length, total });
      this.#progress(failed.length ? `${words} · ${t("admin.doing_failed", { count: failed.length })}` : words, done.length + failed.length, total);
    };
    tell({ done: [], failed: [], left: sessions });
    const outcome = await workThrough(sessions, (session) => treat(deed, session), signal, tell);
    this.#work = null;
    this.#showResult(deed, outcome);
    this.choice.set(outcome.done, false);
    this.show();
    await this.table.refresh();
    if (this.#again.length) $("bulk-retry").focus();
    else this.table.focus();
  }

  /** @param {Deed} deed @param {Outcome} outcome */
  #showResult(deed, { done, failed, left }) {
    this.#again = [...failed.map(({ item }) => item), ...left];
    const words = [t(`admin.did_${deed}`, { count: done.length })];
    if (left.length) words.push(t("admin.did_left", { count: left.length }));
    const summary = words.join(" ");
    if (!this.#again.length) {
      notice(summary);
      return;
    }
    if (failed.length) words.push(t("admin.failed_title", { count: failed.length }));
    setText($("bulk-summary"), words.join(" "));
    announce(words.join(" "));
    const lines = failed.slice(0, LISTED).map(({ item, reason }) => h("li", {}, h("a", { href: `/sessions/${item.id}` }, titleOf(item.title)), `: ${reason}`));
    const more = failed.length - lines.length;
    $("bulk-failed").replaceChildren(...lines, ...(more > 0 ? [h("li", { className: "muted" }, t("admin.failed_more", { count: more }))] : []));
    $("bulk-result").hidden = false;
  }

  #dismiss() {
    $("bulk-result").hidden = true;
    this.#again = [];
    this.show();
    this.table.focus();
  }
}
