// The stream of events as a conversation: in order, in batches per frame, at the end when one reads at the end.

import { exitCode } from "./cards.js";
import { $, announce, h, setText, sheet } from "./dom.js";
import { feedKeys } from "./feed-keys.js";
import { t } from "./i18n.js";
import { Live } from "./live.js";
import { places } from "./places.js";
import { CardRow, FreeRow, GroupRow, LineRow, ProgressRow, hasCard } from "./rows.js";
import { TermText } from "./term.js";
import { SHORT, VirtualList } from "./virtual.js";

/** @typedef {import("./rows.js").BaseRow} BaseRow */

const BUDGET = 10; // milliseconds of one frame
const PATIENCE = 250; // milliseconds between two looks at a stream that comes faster than it is taken
const ORPHANS = 20;
const QUIET = 3000; // milliseconds between announcements of output
const BACKGROUND = 50; // pieces of output without a command that are kept

/** @typedef {{ running: (yes: boolean) => void, event: (event: any) => void, settled: () => void }} Watchers */

export class EventList {
  /** @type {({ event: any } | { partial: any, connection: number })[]} */
  #queue = [];
  #at = 0;
  #scheduled = false;
  #shownAt = 0;
  /** All rows, also those that only people see who want to see all. @type {BaseRow[]} */
  #rows = [];
  /** @type {Map<number, BaseRow>} */
  #ofEvent = new Map();
  #list;
  /** Actions whose observation is still to come. @type {Map<number, CardRow>} */
  #open = new Map();
  /** Those of them that wait for a helper. @type {Set<number>} */
  #helpers = new Set();
  /** Actions that a person decides on, by the call that asked for them. @type {Map<string, CardRow>} */
  #asking = new Map();
  #live = new Live();
  #agent = "";
  /** @type {CardRow | null} a command that answered −1 and goes on */
  #lingering = null;
  /** The newest observation of a command that was no input. @type {any} */
  #told = null;
  /** @type {Map<number, any[]>} output whose action hasn't come */
  #orphans = new Map();
  /** @type {{ row: FreeRow, term: TermText }[]} what background jobs printed */
  #printed = [];
  /** Whether what background jobs print goes into the newest of these. */
  #printing = false;
  /** @type {ProgressRow | null} the step that the newest event told of */
  #step = null;
  /** Whether cards come folded. */
  #folded = false;
  #count = 0;
  #last = -1;
  #unseen = 0;
  #running = false;
  #spoken = 0;
  #speech = "";
  #fold = h("button", { type: "button", id: "fold-all", className: "quiet", on: { click: () => this.#foldAll() } }, t("session.fold_all"));
  connection = 0;
  /** Events up to here were there before the page: nobody needs to hear of them. */
  knownHead = Infinity;

  /**
   * @param {{ list: HTMLElement, scroll: HTMLElement, toEnd: HTMLButtonElement, count: HTMLElement, quiet: HTMLElement }} parts
   * @param {string} session @param {Watchers} on
   */
  constructor(parts, session, on) {
    this.parts = parts;
    this.session = session;
    this.on = on;
    const { scroll, list, toEnd, count } = parts;
    sheet("css/talk.css").catch(() => {}); // again.js sees it fail, and loads the page again
    list.setAttribute("aria-busy", "true");
    this.#list = new VirtualList({ scroll, list, scrolled: () => this.#showUnseen(), placed: (row, element) => this.#placed(row, element) });
    toEnd.addEventListener("click", () => this.toEnd());
    count.before(this.#fold);
    feedKeys(scroll, this.#list, () => this.toEnd());
    list.addEventListener("click", (event) => this.#again(event));
    $("show-all").addEventListener("change", () => this.#sift());
    places.card = (id) => this.#reveal(id);
  }

  /** @param {any} event */
  push(event) {
    this.#queue.push({ event });
    this.#schedule();
  }

  /** @param {any} partial */
  pushPartial(partial) {
    this.#queue.push({ partial, connection: this.connection });
    this.#schedule();
  }

  /** What the agent does now decides whether its thinking is shown. @param {string} state */
  agentIs(state) {
    if (this.#agent === state) return;
    this.#agent = state;
    this.#schedule();
  }

  /** A line of ours, not an event. @param {string} text */
  note(text) {
    this.#put(new FreeRow(h("article", { className: "slim" }, text)));
    this.#schedule();
  }

  toEnd() {
    this.#list.toEnd();
    this.#showUnseen();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A browser draws no frames of a page that it takes to be out of sight, also without calling it
    // hidden: what happened is known all the same, a little later.
    const flush = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      this.#flush();
    };
    const frame = requestAnimationFrame(flush);
    const timer = setTimeout(flush, document.hidden ? 50 : 250);
  }

  #flush() {
    this.#scheduled = false;
    const until = performance.now() + BUDGET;
    while (this.#at < this.#queue.length && performance.now() < until) {
      const next = /** @type {any} */ (this.#queue[this.#at]);
      this.#at += 1;
      try {
        if (next.event) this.#take(next.event);
        else this.#takePartial(next.partial, next.connection);
      } catch (error) {
        reportError(error); // one event that can't be shown keeps none back
      }
    }
    const drained = this.#at >= this.#queue.length;
    if (drained || this.#at > 5000) {
      this.#queue = this.#queue.slice(this.#at);
      this.#at = 0;
    }
    this.#summary();
    const busy = [...this.#open.values()].some((row) => row.event.source === "agent");
    this.#live.show(this.#agent, busy || !drained);
    if (drained || performance.now() - this.#shownAt > PATIENCE) {
      this.#list.render();
      this.#shownAt = performance.now();
    }
    if (!drained) return this.#schedule();
    if (this.#last >= this.knownHead) this.parts.list.removeAttribute("aria-busy");
    this.on.settled();
  }

  #summary() {
    this.parts.quiet.hidden = this.#count > 0;
    setText(this.parts.count, this.#count ? t("session.event_count", { count: this.#count }) : "");
    if (this.#last < this.knownHead) return; // a command of long ago, whose end is still to come, doesn't run now
    const running = this.#lingering !== null || [...this.#open.values()].some((row) => row.isRun && !row.isInput);
    if (running !== this.#running) {
      this.#running = running;
      this.on.running(running);
    }
    this.#speak();
  }

  /** @param {any} event */
  #take(event) {
    this.#count += 1;
    this.#last = event.id;
    this.on.event(event);
    this.#live.take(event);
    if (this.#step?.goesOn(event)) {
      this.#ofEvent.set(event.id, this.#step);
      return this.#step.take(event);
    }
    this.#step = null;
    if (!this.#list.atEnd) this.#unseen += 1;
    const row = event.observation && event.observation !== "null" ? this.#open.get(event.cause) : undefined;
    if (row) this.#finish(row, event);
    else this.#add(event);
    this.#decided(event);
    if (event.observation === "phase_changed" && ["stopped", "failed"].includes(event.extras?.phase)) {
      for (const open of this.#open.values()) open.orphan();
      this.#open.clear();
      this.#helpers.clear();
      this.#linger(null);
    }
  }

  /** An action that was asked about comes again as somebody decided, or gets a result without. @param {any} event */
  #decided(event) {
    if (this.#asking.size === 0) return;
    const call = event.tool_call_metadata?.tool_call_id ?? "";
    const asked = this.#asking.get(call);
    const ended = event.observation && event.observation !== "null" && event.cause === asked?.event.id;
    if (!asked || event.id === asked.event.id || !(event.action || ended)) return;
    asked.decided();
    this.#list.pin(asked, false);
    this.#asking.delete(call);
  }

  /** @param {any} event */
  #add(event) {
    this.#printing = false;
    const fresh = event.id > this.knownHead;
    const helped = event.source === "agent" && this.#helpers.size > 0; // a helper's, until who asked it has its answer
    if (hasCard(event)) return this.#addCard(event, helped);
    const step = event.observation === "phase_changed" && event.extras?.step;
    const row = step ? new ProgressRow(event, fresh) : new LineRow(event, fresh);
    row.helped = helped;
    if (step) this.#step = /** @type {ProgressRow} */ (row);
    this.#ofEvent.set(event.id, row);
    this.#put(row);
    if (fresh && speaks(event)) this.#say(event.args?.content ?? event.args?.final_thought ?? event.content ?? "");
  }

  /** @param {any} event @param {boolean} helped */
  #addCard(event, helped) {
    const row = new CardRow(event, this.session);
    row.helped = helped;
    if (this.#folded && !row.asks) row.fold(false);
    this.#ofEvent.set(event.id, row);
    if (row.asks) {
      this.#asking.set(event.tool_call_metadata?.tool_call_id ?? "", row);
      this.#list.pin(row, true);
    } else {
      this.#open.set(event.id, row);
      if (event.action === "delegate") this.#helpers.add(event.id);
    }
    this.#putCard(row);
    for (const { partial, connection } of this.#orphans.get(event.id) ?? []) row.partial(partial, connection);
    this.#orphans.delete(event.id);
  }

  /** With those of its kind just before it, or by itself. @param {CardRow} row */
  #putCard(row) {
    const before = this.#rows.at(-1);
    if (before instanceof GroupRow && before.takes(row)) return before.add(row);
    const pair = before instanceof CardRow && before.small ? new GroupRow(before) : null;
    if (!before || !pair?.takes(row)) return this.#put(row);
    pair.add(row);
    if (this.#folded) pair.fold(false);
    this.#rows[this.#rows.length - 1] = pair;
    this.#list.replace(before, pair);
  }

  /** @param {BaseRow} row */
  #put(row) {
    this.#rows.push(row);
    if (this.#rows.length === SHORT + 1) this.#sift();
    else if (this.#shows(row)) this.#list.push(row);
  }

  /** A short list has them all in the page, where the sheet hides some. @param {BaseRow} row */
  #shows(row) {
    return this.#rows.length <= SHORT || !row.minor || $("show-all").checked;
  }

  #sift() {
    if (this.#rows.length > SHORT) this.#list.reset(this.#rows.filter((row) => this.#shows(row)));
  }

  /** @param {CardRow} row @param {any} event */
  #finish(row, event) {
    row.finish(event, row.isInput && this.#isTold(event));
    this.#ofEvent.set(event.id, row);
    this.#open.delete(event.cause);
    this.#helpers.delete(event.cause);
    if (!row.isRun) return;
    if (!row.isInput) this.#told = event;
    const code = exitCode(event);
    if (event.observation !== "run" || code !== -1) this.#linger(null);
    else if (!row.isInput) this.#linger(row);
    if (event.id > this.knownHead) {
      const command = row.command.slice(0, 80);
      this.#say(code === 0 ? t("event.done_ok", { command }) : t("event.done_bad", { command, code: String(code ?? "?") }));
    }
  }

  /** Whether the command that it was typed to has told the same. @param {any} event */
  #isTold({ observation, content, extras }) {
    const command = this.#told;
    return observation === "run" && command?.content === content && command?.extras?.total_bytes === extras?.total_bytes;
  }

  /** @param {CardRow | null} row */
  #linger(row) {
    this.#lingering?.linger(false);
    this.#lingering = row;
    row?.linger(true);
  }

  /** @param {any} partial @param {number} connection */
  #takePartial(partial, connection) {
    if (partial.kind && partial.kind !== "output") return this.#live.partial(partial);
    if (partial.cause === null || partial.cause === undefined) return this.#toBackground(partial.text);
    const row = this.#open.get(partial.cause) ?? (this.#lingering?.event.id === partial.cause ? this.#lingering : undefined);
    if (row) {
      row.partial(partial, connection);
      this.#speech = (this.#speech + partial.text).slice(-200);
    } else if (partial.cause > this.#last) {
      const held = this.#orphans.get(partial.cause) ?? [];
      if (held.length < 200) this.#orphans.set(partial.cause, [...held, { partial, connection }]);
      if (this.#orphans.size > ORPHANS) this.#orphans.delete(/** @type {number} */ (this.#orphans.keys().next().value));
    }
  }

  /** @param {string} text */
  #toBackground(text) {
    if (!this.#printing) {
      const out = h("pre", { className: "out", tabIndex: 0 });
      const row = new FreeRow(h("article", { className: "runcard" }, out));
      this.#printing = true;
      this.#printed.push({ row, term: new TermText(out) });
      this.#put(row);
      const old = this.#printed.length > BACKGROUND ? this.#printed.shift()?.row.element : null;
      old?.replaceChildren();
      old?.classList.add("spent");
    }
    this.#printed.at(-1)?.term.push(text);
  }

  /** @param {string} text */
  #say(text) {
    this.#speech = "";
    this.#spoken = Date.now();
    announce(text.slice(0, 300));
  }

  #speak() {
    if (!this.#speech.trim() || Date.now() - this.#spoken < QUIET) return;
    this.#say(this.#speech);
  }

  #showUnseen() {
    const { toEnd } = this.parts;
    const { atEnd } = this.#list;
    if (atEnd) this.#unseen = 0;
    toEnd.hidden = atEnd;
    if (!atEnd) setText(toEnd, this.#unseen ? t("session.new_below", { count: this.#unseen }) : t("session.to_end"));
  }

  /** Says where in the conversation a row is. @param {import("./virtual.js").Row} row @param {HTMLElement} element */
  #placed(row, element) {
    const place = String(row.index + 1);
    const of = String(this.#list.rows.length);
    if (element.getAttribute("aria-posinset") !== place) element.setAttribute("aria-posinset", place);
    if (element.getAttribute("aria-setsize") !== of) element.setAttribute("aria-setsize", of);
  }

  #foldAll() {
    this.#folded = !this.#folded;
    for (const row of this.#rows) {
      if (row instanceof GroupRow || (row instanceof CardRow && (!row.asks || row.over))) row.fold(!this.#folded);
    }
    setText(this.#fold, t(this.#folded ? "session.unfold_all" : "session.fold_all"));
  }

  /** @param {Event} event */
  #again(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest?.("[data-again]");
    const row = this.#list.rowOf(button ?? null);
    if (!(button instanceof HTMLElement) || !(row instanceof LineRow || row instanceof CardRow)) return;
    if (button.dataset.again === "again") places.again?.(row.event);
    else places.edit?.(row.event);
  }

  /** Shows where an event is, if it is here. @param {number} id */
  #reveal(id) {
    const row = this.#ofEvent.get(id);
    if (!row) return false;
    const all = /** @type {HTMLInputElement} */ ($("show-all"));
    if (row.minor && !all.checked) all.click();
    const group = row instanceof CardRow ? row.group : null;
    this.#list.reveal(group ?? row);
    group?.fold(true);
    const element = row.show();
    element.focus({ preventScroll: group === null });
    element.classList.remove("found");
    requestAnimationFrame(() => element.classList.add("found"));
    return true;
  }
}

/** Whether somebody who listens wants to hear of it. @param {any} event */
function speaks({ action, observation, source }) {
  return observation === "error" || (source === "agent" && (action === "message" || action === "finish"));
}
