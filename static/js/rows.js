// The rows of the conversation. A row knows its events; its element is made when it is looked at, and again when that was given up.

import { Card, TITLES, plain, retell, titleOf } from "./cards.js";
import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { isMinor } from "./talk.js";

/** Elements out of the page that are kept, for those who scroll to and fro. */
const KEPT = 200;
/** Cards in one group at most. */
const GROUPED = 50;

/** Who gives up elements, the oldest first. */
class Kept {
  /** @type {Set<BaseRow>} */
  #rows = new Set();

  /** @param {BaseRow} row */
  add(row) {
    this.#rows.delete(row);
    this.#rows.add(row);
    for (const old of this.#rows) {
      if (this.#rows.size <= KEPT) break;
      this.#rows.delete(old);
      old.giveUp();
    }
  }

  /** @param {BaseRow} row */
  remove(row) {
    this.#rows.delete(row);
  }
}
const kept = new Kept();

/** What all rows are: see `Row` of virtual.js. */
export class BaseRow {
  kind = "slim";
  index = -1;
  height = 0;
  guess = 26;
  minor = false;
  helped = false;
  /** The newest event that it tells of. */
  last = -1;
  /** @type {HTMLElement | null} */
  element = null;

  /** @returns {HTMLElement} */
  make() {
    return h("article");
  }

  show() {
    kept.remove(this);
    if (!this.element) {
      this.element = this.make();
      this.element.tabIndex = -1;
      this.element.classList.toggle("helped", this.helped);
    }
    return this.element;
  }

  leave() {
    kept.add(this);
  }

  giveUp() {
    this.element = null;
  }
}

/** An element that nothing can be made from again: what a background job printed, a line of ours. */
export class FreeRow extends BaseRow {
  /** @param {HTMLElement} element */
  constructor(element) {
    super();
    this.element = element;
  }

  giveUp() {}
}

/** An event that has no card. */
export class LineRow extends BaseRow {
  /** @param {any} event @param {boolean} fresh whether it happened just now */
  constructor(event, fresh) {
    super();
    this.event = event;
    this.fresh = fresh;
    this.last = event.id;
    this.minor = isMinor(event);
    const { action, observation, source } = event;
    const speaks = ["message", "think", "finish", "reject"].includes(action) || (observation === "error" && source !== "agent");
    if (!speaks || this.minor) return;
    this.kind = "msg";
    this.guess = 80;
  }

  make() {
    const element = plain(this.event, this.fresh);
    this.fresh = false;
    return element;
  }
}

/** A long step tells every few seconds how far it is: one line says it, for these events. */
export class ProgressRow extends LineRow {
  /** @param {any} event @param {boolean} fresh */
  constructor(event, fresh) {
    super(event, fresh);
    this.first = event.id;
  }

  /** Whether the very next event only tells more of this line's step. @param {any} event */
  goesOn({ observation, extras = {} }) {
    const before = this.event.extras;
    const same = extras.phase === before.phase && extras.step === before.step && extras.reason === before.reason;
    return observation === "phase_changed" && Boolean(extras.progress) && same;
  }

  /** @param {any} event */
  take(event) {
    this.event = event;
    this.last = event.id;
    if (this.element) retell(this.element, event);
  }

  make() {
    const element = super.make();
    element.dataset.eventFrom = String(this.first);
    return element;
  }
}

/** Whether an action has a card. @param {any} event */
export const hasCard = ({ action }) => action === "run" || action in TITLES;

/** An action and what comes of it. */
export class CardRow extends BaseRow {
  /** @type {any} */
  result = null;
  /** @type {Card | null} */
  card = null;
  /** Whether its command goes on, so that more may be printed into it. */
  lingers = false;
  /** @type {GroupRow | null} */
  group = null;
  #decided = false;
  #orphaned = false;
  #told = false;
  /** What a person made of it. @type {boolean | null} */
  #open = null;

  /** @param {any} event @param {string} session */
  constructor(event, session) {
    super();
    this.event = event;
    this.session = session;
    this.last = event.id;
    this.isRun = event.action === "run";
    this.isInput = this.isRun && Boolean(event.args?.is_input);
    this.asks = event.args?.confirmation_state === "awaiting_confirmation";
    this.hidden = Boolean(event.args?.hidden);
    this.minor = this.hidden && !this.asks;
    this.kind = `${event.action}${event.args?.thought ? " thought" : ""}`;
    this.guess = this.isRun ? 120 : 44;
    this.command = titleOf(event);
  }

  make() {
    const card = new Card(this.event, this.session);
    this.card = card;
    if (this.#decided) card.decided();
    if (this.result) card.finish(this.result, this.#told);
    else if (this.#orphaned) card.orphan();
    if (this.#open !== null) card.details.open = this.#open;
    return card.element;
  }

  /** Whether nothing more comes. */
  get over() {
    return !this.lingers && (this.result !== null || this.#orphaned || this.#decided);
  }

  /** What is printed into it is nowhere else: it isn't given up before its observation is there. */
  giveUp() {
    if (!this.over) return;
    if (this.card) this.#open = this.card.details.open;
    this.card = null;
    this.element = null;
  }

  /** All of them, or as a person left them. @param {boolean} open */
  fold(open) {
    this.#open = open;
    if (this.card) this.card.details.open = open;
  }

  /** @param {any} frame @param {number} connection */
  partial(frame, connection) {
    const { out } = this.#made();
    const follows = out.scrollHeight - out.scrollTop - out.clientHeight < 30;
    this.#made().partial(frame, connection);
    if (follows) out.scrollTop = out.scrollHeight;
  }

  /** @returns {Card} */
  #made() {
    if (!this.card) {
      this.show();
      this.leave();
    }
    return /** @type {Card} */ (this.card);
  }

  /** @param {any} event @param {boolean} [told] see the card */
  finish(event, told = false) {
    this.result = event;
    this.#told = told;
    this.card?.finish(event, told);
    this.group?.told();
    this.#rest();
  }

  /** @param {boolean} yes */
  linger(yes) {
    this.lingers = yes;
    this.#rest();
  }

  /** Out of the page, it needn't be kept any more than others. */
  #rest() {
    if (this.element && !this.element.isConnected && !this.group) kept.add(this);
  }

  decided() {
    this.#decided = true;
    this.minor = true;
    this.card?.decided();
    this.#rest();
  }

  /** The session ended under it. */
  orphan() {
    this.#orphaned = true;
    this.card?.orphan();
    this.group?.told();
    this.#rest();
  }

  /** Whether it may stand with others of its kind: a look at a file, of which nothing was said. */
  get small() {
    const { action, args = {} } = this.event;
    return (action === "read" || (action === "edit" && args.command === "view")) && !args.thought && !this.asks && !this.hidden;
  }
}

/** Small cards of one kind that followed one another, under one fold. */
export class GroupRow extends BaseRow {
  /** @type {CardRow[]} */
  cards = [];
  #names = h("span", { className: "muted small names" });
  #title = h("span", { className: "cmd" });
  #badge = h("span", { className: "badge" });
  #list = h("div", { className: "events group" });
  #details = h("details", {}, h("summary", {}, this.#title, this.#names, this.#badge), this.#list);

  kind = "group";
  guess = 44;

  /** @param {CardRow} first */
  constructor(first) {
    super();
    this.helped = first.helped;
    this.add(first);
  }

  /** @param {CardRow} card */
  takes(card) {
    const [first] = this.cards;
    return card.small && this.cards.length < GROUPED && card.helped === this.helped && card.event.source === first?.event.source;
  }

  /** @param {CardRow} card */
  add(card) {
    this.cards.push(card);
    card.group = this;
    this.last = card.last;
    if (this.element) this.#list.append(card.show());
    this.told();
  }

  make() {
    this.#list.append(...this.cards.map((card) => card.show()));
    const agent = this.cards[0]?.event.source === "agent";
    return h("article", { className: `act${agent ? " of-agent" : ""}` }, this.#details);
  }

  giveUp() {
    if (this.cards.some((card) => !card.over)) return;
    this.#list.replaceChildren();
    for (const card of this.cards) card.giveUp();
    this.element = null;
  }

  /** @param {boolean} open */
  fold(open) {
    this.#details.open = open;
    for (const card of this.cards) card.fold(open);
  }

  /** One of them has its result: says so, with how many. */
  told() {
    const bad = this.cards.some(({ result }) => result?.observation === "error");
    const open = this.cards.some((card) => !card.over);
    setText(this.#title, t("event.reads", { count: this.cards.length }));
    setText(this.#names, this.cards.map(({ event }) => String(event.args?.path ?? "").split("/").at(-1)).join(", "));
    this.#badge.className = `badge ${open ? "busy" : bad ? "fail" : "ok"}`;
    setText(this.#badge, open ? t("event.running") : bad ? t("event.error") : "✓");
  }
}
