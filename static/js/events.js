// The stream of events as a list: in order, in batches per frame, at the end when one reads at the end.

import { Card, ProgressLine, TITLES, exitCode, plain } from "./cards.js";
import { announce, h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { Live } from "./live.js";
import { TermText } from "./term.js";

const BUDGET = 10; // milliseconds of one frame
const ORPHANS = 20;
const QUIET = 3000; // milliseconds between announcements of output

/** @typedef {{ running: (yes: boolean) => void, event: (event: any) => void, settled: () => void }} Watchers */

export class EventList {
  /** @type {({ event: any } | { partial: any, connection: number })[]} */
  #queue = [];
  #at = 0;
  #scheduled = false;
  /** @type {Map<number, Card>} actions whose observation is still to come */
  #open = new Map();
  /** Actions that a person decides on, by the call that asked for them. @type {Map<string, Card>} */
  #asking = new Map();
  #live = new Live();
  #agent = "";
  /** @type {Card | null} a command that answered −1 and goes on */
  #lingering = null;
  /** @type {Map<number, any[]>} output whose action hasn't come */
  #orphans = new Map();
  /** @type {{ element: HTMLLIElement, term: TermText } | null} */
  #background = null;
  /** @type {ProgressLine | null} the step that the newest event told of */
  #step = null;
  #fragment = document.createDocumentFragment();
  #count = 0;
  #last = -1;
  #unseen = 0;
  #atEnd = true;
  #running = false;
  #spoken = 0;
  #speech = "";
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
    const { scroll, toEnd } = parts;
    scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    toEnd.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.#stick()).observe(scroll);
    const content = new ResizeObserver(() => this.#stick());
    for (const child of scroll.children) content.observe(child);
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
    this.parts.list.append(h("li", { className: "slim" }, text));
  }

  toEnd() {
    this.#atEnd = true;
    this.#stick();
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
    this.parts.list.append(this.#fragment);
    this.#summary();
    const busy = [...this.#open.values()].some((card) => card.event.source === "agent");
    this.#live.show(this.#agent, busy || !drained);
    this.#stick();
    if (drained) this.on.settled();
    else this.#schedule();
  }

  #summary() {
    this.parts.quiet.hidden = this.#count > 0;
    setText(this.parts.count, this.#count ? t("session.event_count", { count: this.#count }) : "");
    const running = this.#lingering !== null || [...this.#open.values()].some((card) => card.isRun && !card.isInput);
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
    if (this.#step?.goesOn(event)) return this.#step.take(event);
    this.#step = null;
    if (!this.#atEnd) this.#unseen += 1;
    const card = event.observation && event.observation !== "null" ? this.#open.get(event.cause) : undefined;
    if (card) this.#finish(card, event);
    else this.#add(event);
    this.#decided(event);
    if (event.observation === "phase_changed" && ["stopped", "failed"].includes(event.extras?.phase)) {
      for (const open of this.#open.values()) open.orphan();
      this.#open.clear();
      this.#lingering = null;
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
    this.#asking.delete(call);
  }

  /** Whether it is a helper's, who works until the agent that asked it has its answer. @param {any} event */
  #helped({ source }) {
    return source === "agent" && [...this.#open.values()].some((card) => card.event.action === "delegate");
  }

  /** @param {any} event */
  #add(event) {
    this.#background = null;
    if (event.action !== "run" && !(event.action in TITLES)) {
      const line = plain(event, event.id > this.knownHead);
      line.classList.toggle("helped", this.#helped(event));
      if (event.observation === "phase_changed" && event.extras?.step) this.#step = new ProgressLine(event, line);
      this.#fragment.append(line);
      if (event.id > this.knownHead && speaks(event)) this.#say(event.args?.content ?? event.args?.final_thought ?? event.content ?? "");
      return;
    }
    const card = new Card(event, this.session);
    card.element.classList.toggle("helped", this.#helped(event));
    if (card.asks) this.#asking.set(event.tool_call_metadata?.tool_call_id ?? "", card);
    else this.#open.set(event.id, card);
    this.#fragment.append(card.element);
    for (const { partial, connection } of this.#orphans.get(event.id) ?? []) card.partial(partial, connection);
    this.#orphans.delete(event.id);
  }

  /** @param {Card} card @param {any} event */
  #finish(card, event) {
    card.finish(event);
    this.#open.delete(event.cause);
    if (!card.isRun) return;
    const code = exitCode(event);
    if (event.observation === "run" && code === -1) {
      if (!card.isInput) this.#lingering = card;
    } else {
      this.#lingering = null;
    }
    if (event.id > this.knownHead) {
      const command = card.command.slice(0, 80);
      this.#say(code === 0 ? t("event.done_ok", { command }) : t("event.done_bad", { command, code: String(code ?? "?") }));
    }
  }

  /** @param {any} partial @param {number} connection */
  #takePartial(partial, connection) {
    if (partial.kind && partial.kind !== "output") return this.#live.partial(partial);
    if (partial.cause === null || partial.cause === undefined) return this.#toBackground(partial.text);
    const card = this.#open.get(partial.cause) ?? (this.#lingering?.event.id === partial.cause ? this.#lingering : undefined);
    if (card) {
      const { out } = card;
      const follows = out.scrollHeight - out.scrollTop - out.clientHeight < 30;
      card.partial(partial, connection);
      if (follows) out.scrollTop = out.scrollHeight;
      this.#speech = (this.#speech + partial.text).slice(-200);
    } else if (partial.cause > this.#last) {
      const held = this.#orphans.get(partial.cause) ?? [];
      if (held.length < 200) this.#orphans.set(partial.cause, [...held, { partial, connection }]);
      if (this.#orphans.size > ORPHANS) this.#orphans.delete(/** @type {number} */ (this.#orphans.keys().next().value));
    }
  }

  /** @param {string} text */
  #toBackground(text) {
    if (!this.#background) {
      const out = h("pre", { className: "out", tabIndex: 0 });
      const element = h("li", { className: "runcard" }, out);
      this.#background = { element, term: new TermText(out) };
      this.#fragment.append(element);
    }
    this.#background.term.push(text);
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

  #scrolled() {
    const { scroll } = this.parts;
    this.#atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
    this.#showUnseen();
  }

  #showUnseen() {
    const { toEnd } = this.parts;
    if (this.#atEnd) this.#unseen = 0;
    toEnd.hidden = this.#atEnd;
    if (!this.#atEnd) setText(toEnd, this.#unseen ? t("session.new_below", { count: this.#unseen }) : t("session.to_end"));
  }

  #stick() {
    const { scroll } = this.parts;
    if (this.#atEnd) scroll.scrollTop = scroll.scrollHeight;
    else this.#showUnseen();
  }
}

/** Whether somebody who listens wants to hear of it. @param {any} event */
function speaks({ action, observation, source }) {
  return observation === "error" || (source === "agent" && (action === "message" || action === "finish"));
}
