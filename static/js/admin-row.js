// One session in the operator's list. A row keeps its elements over refreshes, so that focus and dialogs stay.

import { reasonText, showAgent, showAgo, showPhase, stoppable, titleOf } from "./badges.js";
import { h, setText } from "./dom.js";
import { ago, number, parseTime, t, word } from "./i18n.js";

/** @typedef {import("./badges.js").SessionBody} SessionBody */
/** @typedef {"open" | "start" | "stop" | "delete" | "owner"} Deed */

/** Whether `start` does something for it. @param {string} phase */
export const startable = (phase) => phase === "stopped" || phase === "failed" || phase === "suspended";

/** A cell; its label stands before it where rows are cards. @param {string} label @param {string} className @param {...import("./dom.js").Child} children */
const cell = (label, className, ...children) => h("td", { className, role: "gridcell", data: { label: t(`admin.col_${label}`) } }, ...children);

/** Only the words change as time goes by. @param {HTMLTimeElement} element @param {string} text */
function showTime(element, text) {
  if (element.dateTime === text) setText(element, ago(parseTime(text)));
  else showAgo(element, text);
}

export class Row {
  /** @param {SessionBody} session @param {(deed: Deed, row: Row) => void} act */
  constructor(session, act) {
    this.session = session;
    const does = (/** @type {Deed} */ deed) => ({ click: (/** @type {Event} */ event) => {
      event.preventDefault();
      act(deed, this);
    } });
    this.check = h("input", { type: "checkbox", tabIndex: -1, data: { choose: session.id } });
    this.name = h("button", { type: "button", tabIndex: -1, on: does("open") });
    this.owner = h("a", { tabIndex: -1, on: does("owner") });
    this.open = h("a", { className: "button", tabIndex: -1, href: `/sessions/${session.id}`, title: t("admin.workspace") }, "↗");
    this.start = h("button", { type: "button", tabIndex: -1, data: { act: "start" }, on: does("start") }, t("admin.start"));
    this.stop = h("button", { type: "button", tabIndex: -1, data: { act: "stop" }, on: does("stop") }, t("action.stop"));
    this.remove = h("button", { type: "button", tabIndex: -1, className: "danger", data: { act: "delete" }, on: does("delete") }, t("action.delete"));
    this.phase = h("span", { className: "badge" });
    this.agent = h("span", { className: "badge soft" });
    this.created = h("time");
    this.updated = h("time");
    this.clients = cell("clients", "num");
    this.events = cell("events", "num");
    this.element = h("tr", { role: "row", tabIndex: -1, data: { session: session.id } },
      h("td", { className: "pick", role: "gridcell" }, h("label", {}, this.check)),
      h("td", { className: "name", role: "gridcell" }, this.name),
      cell("phase", "", this.phase), cell("agent", "", this.agent), cell("owner", "owner", this.owner), cell("created", "", this.created), cell("updated", "", this.updated),
      this.clients, this.events, h("td", { role: "gridcell" }, h("div", { className: "does" }, this.open, this.start, this.stop, this.remove)));
    this.title = "";
    this.told = "";
    setText(this.owner, session.owner);
    this.owner.title = t("admin.owner_only", { owner: session.owner });
    this.owner.href = `/admin?owner=${encodeURIComponent(session.owner)}`;
    this.show(session);
  }

  /** @param {SessionBody} session */
  show(session) {
    this.session = session;
    showTime(this.created, session.created_at);
    showTime(this.updated, session.updated_at);
    const told = JSON.stringify(session);
    if (told === this.told) return;
    this.told = told;
    if (this.title !== titleOf(session.title)) this.#name(titleOf(session.title));
    showPhase(this.phase, session);
    this.phase.title = session.fault?.cause ?? reasonText(session);
    showAgent(this.agent, session.agent_state);
    setText(this.agent, word("agent", session.agent_state));
    setText(this.clients, number(session.clients));
    setText(this.events, number(session.head + 1));
    this.start.hidden = !startable(session.phase) || stoppable(session.phase);
    this.stop.hidden = !this.start.hidden;
    this.stop.disabled = !stoppable(session.phase);
  }

  /** What changes only with the title, and isn't made at each refresh. @param {string} title */
  #name(title) {
    this.title = title;
    setText(this.name, title);
    this.name.title = t("admin.details", { title });
    for (const [button, key] of /** @type {const} */ ([[this.start, "admin.start_named"], [this.stop, "sessions.stop_named"], [this.remove, "sessions.delete_named"], [this.check, "admin.choose_named"], [this.open, "admin.open_named"]])) {
      button.setAttribute("aria-label", t(key, { title }));
    }
  }

  /** @param {boolean} is */
  chosen(is) {
    if (this.check.checked !== is) this.check.checked = is;
    if (this.element.getAttribute("aria-selected") !== String(is)) this.element.setAttribute("aria-selected", String(is));
  }

  /** One row is on the way of the Tab key; the others are reached from it. @param {boolean} is */
  current(is) {
    const tabIndex = is ? 0 : -1;
    if (this.element.tabIndex === tabIndex) return;
    for (const element of [this.element, this.check, this.name, this.owner, this.open, this.start, this.stop, this.remove]) element.tabIndex = tabIndex;
  }
}
