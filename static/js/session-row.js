// One session in the list: its elements stay over refreshes, so that focus and dialogs stay.

import { get, post, sessionPath } from "./api.js";
import { dollars } from "./agent.js";
import { reasonText, showAgent, showAgo, showPhase, stoppable, titleOf } from "./badges.js";
import { confirmDelete, confirmStop, whileBusy } from "./dialog.js";
import { deleteSession } from "./delete.js";
import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { renameSession } from "./rename.js";
import { mayWrite } from "./settings.js";

/** @typedef {import("./badges.js").SessionBody} SessionBody */
/** @typedef {{ refresh: () => Promise<unknown>, find: (query: string) => void, home: () => void }} List */

/** What a person is waited for in, what goes on by itself, and what rests. */
export const GROUPS = /** @type {const} */ (["attention", "running", "idle"]);
const ASKS = ["awaiting_user_confirmation", "awaiting_user_input", "error"];
/** An agent that has done nothing yet. */
const UNTOLD = ["loading", "init"];
/** Costs are asked for this often at most, and for what is in sight. */
const AGAIN = 20_000;

/** @param {SessionBody} session @returns {typeof GROUPS[number]} */
export function groupOf({ phase, agent_state: agent }) {
  if (phase === "failed" || (ASKS.includes(agent) && phase !== "stopped" && phase !== "stopping")) return "attention";
  return ["starting", "ready", "stopping"].includes(phase) ? "running" : "idle";
}

/** What a session is found by. @param {SessionBody} session */
export const wordsOf = ({ title, id, labels }) => [titleOf(title), id, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)].join("\n").toLowerCase();

/** @type {Map<Element, Row>} */
const watched = new Map();
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) watched.get(target)?.inSight(isIntersecting);
});

export class Row {
  #sight = false;
  #labels = "";
  /** The event up to which the cost is known, and when that was asked. */
  #costed = { head: -2, at: 0 };

  /** @param {SessionBody} session @param {List} list */
  constructor(session, list) {
    this.session = session;
    this.list = list;
    this.link = h("a", { href: `/sessions/${session.id}` });
    this.phase = h("span", { className: "badge" });
    this.agent = h("span", { className: "badge soft" });
    this.created = h("time");
    this.updated = h("time");
    this.clients = h("span");
    this.cost = h("span", { data: { cost: "" } });
    this.labels = h("span", { className: "labels" });
    this.fault = h("div", { className: "fault-line" });
    this.reason = h("div", { className: "facts" });
    this.rename = h("button", { type: "button", className: "quiet", data: { act: "rename" }, on: { click: () => this.retitle() } }, t("sessions.rename"));
    this.begin = h("button", { type: "button", className: "quiet", data: { act: "start" }, on: { click: () => this.#start() } }, t("action.start_again"));
    this.stop = h("button", { type: "button", className: "quiet", data: { act: "stop" }, on: { click: () => this.#stop() } }, t("action.stop"));
    this.remove = h("button", { type: "button", className: "quiet danger", data: { act: "delete" }, on: { click: () => this.delete() } }, t("action.delete"));
    this.element = h("li", { data: { session: session.id } },
      h("div", { className: "what" }, h("div", { className: "row" }, this.link, this.labels),
        h("div", { className: "facts" }, this.updated, this.created, this.clients, this.cost), this.reason, this.fault),
      h("div", { className: "marks" }, this.phase, this.agent),
      h("div", { className: "does", hidden: !mayWrite }, this.rename, this.begin, this.stop, this.remove));
    watched.set(this.element, this);
    seen.observe(this.element);
    this.show(session);
  }

  /** @param {SessionBody} session */
  show(session) {
    this.session = session;
    const title = titleOf(session.title);
    setText(this.link, title);
    this.link.title = title;
    showPhase(this.phase, session);
    showAgent(this.agent, session.agent_state);
    this.agent.hidden = UNTOLD.includes(session.agent_state);
    showAgo(this.created, session.created_at, "sessions.created");
    showAgo(this.updated, session.updated_at, "sessions.updated");
    setText(this.clients, session.clients ? t("sessions.clients", { count: session.clients }) : "");
    setText(this.fault, session.fault ? `${session.fault.cause} (${session.fault.code})` : "");
    this.fault.hidden = !session.fault;
    setText(this.reason, reasonText(session));
    this.reason.hidden = !session.reason;
    this.stop.hidden = !stoppable(session.phase);
    this.begin.hidden = session.phase !== "failed";
    this.begin.setAttribute("aria-label", t("sessions.start_named", { title }));
    this.rename.setAttribute("aria-label", t("sessions.rename_named", { title }));
    this.stop.setAttribute("aria-label", t("sessions.stop_named", { title }));
    this.remove.setAttribute("aria-label", t("sessions.delete_named", { title }));
    this.#showLabels();
    this.#askCost();
  }

  #showLabels() {
    const now = JSON.stringify(this.session.labels);
    if (now === this.#labels) return;
    this.#labels = now;
    this.labels.replaceChildren(...Object.entries(this.session.labels).map(([name, value]) => {
      const text = value ? `${name}=${value}` : name;
      return h("button", { type: "button", className: "label", "aria-label": t("sessions.find_label", { label: text }), on: { click: () => this.list.find(`${name}=${value}`) } }, text);
    }));
  }

  /** @param {boolean} yes */
  inSight(yes) {
    this.#sight = yes;
    this.#askCost();
  }

  /** What the agent has cost, where prices are known. */
  async #askCost() {
    const { id, head, agent_state: agent } = this.session;
    const worked = !UNTOLD.includes(agent);
    if (!this.#sight || !worked || this.#costed.head === head || Date.now() - this.#costed.at < AGAIN) return;
    this.#costed = { head, at: Date.now() };
    try {
      const { used } = await get(`${sessionPath(id)}/agent`);
      setText(this.cost, used.cost > 0 ? t("sessions.cost", { cost: dollars(used.cost) }) : "");
    } catch { /* the list is as good without */ }
  }

  /** Takes it out of the list. */
  end() {
    seen.unobserve(this.element);
    watched.delete(this.element);
    this.element.remove();
  }

  async retitle() {
    if (!mayWrite) return;
    const session = await renameSession(this.session.id, titleOf(this.session.title));
    if (session) this.show({ ...this.session, title: session.title });
    this.rename.focus();
    if (session) await this.list.refresh();
  }

  async #start() {
    await whileBusy(this.begin, () => post(`${sessionPath(this.session.id)}/start`));
    await this.list.refresh();
    if (this.begin.hidden) this.link.focus();
  }

  async #stop() {
    if (!(await confirmStop(titleOf(this.session.title)))) return;
    await whileBusy(this.stop, () => post(`${sessionPath(this.session.id)}/stop`));
    await this.list.refresh();
  }

  async delete() {
    if (!mayWrite) return;
    const focused = document.activeElement;
    if (!(await confirmDelete(titleOf(this.session.title), this.session.head))) {
      /** @type {HTMLElement | null} */ (focused)?.focus();
      return;
    }
    const links = [...document.querySelectorAll("#sessions [data-session] a")];
    const at = links.indexOf(this.link);
    await whileBusy(this.remove, () => deleteSession(this.session.id));
    await this.list.refresh();
    const next = /** @type {HTMLElement | undefined} */ ([links[at + 1], links[at - 1]].find((link) => link?.isConnected));
    if (this.element.isConnected) this.remove.focus();
    else if (next) next.focus();
    else this.list.home();
  }
}
