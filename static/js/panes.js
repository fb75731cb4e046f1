// The panes beside the conversation: a strip of tabs, each pane loaded when it is first shown, a second one seen with the first, the divisions remembered.

import { Divider } from "./divider.js";
import { $, h, sheet } from "./dom.js";
import { t } from "./i18n.js";
import { keep, kept } from "./kept.js";
import { SecondPane } from "./second-pane.js";

/** In the order of their tabs; each but the files is `panes/NAME.js`. */
export const PANES = ["files", "terminal", "changes", "preview", "code", "cells", "browser", "timeline", "log"];
/** Where the conversation is one pane of many: as in app.css. */
const NARROW = matchMedia("(max-width: 56rem)");
/** The conversation's share of the width, in percent: as in app.css, the least and the most. */
const USUAL = 52;
const LEAST = 25;
const MOST = 80;

/**
 * What a pane is given.
 * @typedef {object} Context
 * @property {string} id the session's
 * @property {import("./socket.js").SessionSocket} socket
 * @property {() => boolean} canWrite
 * @property {() => import("./badges.js").PhaseView} phase
 * @property {any[]} events all events that the page has, in order
 * @property {(name: string) => Promise<Pane>} show shows another pane
 * @property {(path: string) => void} openFile shows a file of the workspace
 */
/**
 * What a pane may have. `event` gets what comes after it was opened.
 * @typedef {object} Pane
 * @property {(event: any) => void} [event]
 * @property {(frame: any) => void} [frame] what is no event: `partial`, `files`, `terminal`, `presence`
 * @property {(bytes: ArrayBuffer) => void} [binary]
 * @property {() => void} [joined] after each hello
 * @property {() => void} [changed] the phase, or what this person may do, is another
 * @property {() => void} [shown]
 * @property {() => void} [hidden]
 */

export class Panes {
  /** @type {Map<string, { host: HTMLElement, pane: Pane }>} */
  #open = new Map();
  /** @type {Map<string, Promise<Pane>>} */
  #opening = new Map();
  #root = /** @type {HTMLElement} */ ($("session"));
  #tabs = /** @type {HTMLElement} */ ($("pane-tabs"));
  /** The one whose tab is chosen, which may be the conversation; and the last that was none. */
  #shown = "";
  #first = "";
  /** @type {Set<string>} */
  #seen = new Set();

  /** @param {Omit<Context, "show">} context @param {Pane} files the pane that is there from the beginning */
  constructor(context, files) {
    /** @type {Context} */
    this.context = Object.assign(context, { show: (/** @type {string} */ name) => this.show(name) });
    const host = /** @type {HTMLElement} */ ($("files"));
    this.#dress(host, "files");
    this.#open.set("files", { host, pane: files });
    for (const name of ["talk", ...PANES]) {
      const tab = h("button", { type: "button", id: `tab-${name}`, role: "tab", tabIndex: -1, data: { show: name } }, t(`pane.${name}`));
      tab.addEventListener("click", () => this.show(name, true));
      this.#tabs.append(tab);
    }
    this.#tabs.addEventListener("keydown", (event) => this.#key(event));
    NARROW.addEventListener("change", () => this.#fit());
    sheet("css/panes.css").catch(() => {}); // again.js sees it fail, and loads the page again
    this.#divider();
    this.second = new SecondPane(this.#tabs, PANES, () => this.#place());
    const wanted = new URLSearchParams(location.search).get("pane") ?? (NARROW.matches ? "talk" : kept("staithe.pane"));
    this.show(["talk", ...PANES].includes(wanted ?? "") ? /** @type {string} */ (wanted) : "files");
  }

  /** The pane that is looked at: its name. */
  get shown() {
    return this.#shown;
  }

  /**
   * Shows a pane, loading it where it is the first time. The second one is seen already, unless its tab is chosen: then both change places.
   * @param {string} name @param {boolean} [asFirst] @returns {Promise<Pane>}
   */
  async show(name, asFirst = false) {
    if (name === "talk" && !NARROW.matches) name = this.#first || "files";
    if (name === this.second.name && name !== this.#first) {
      if (!asFirst && !NARROW.matches) return this.#get(name);
      this.second.set(this.#first);
    }
    this.#shown = name;
    this.#root.dataset.pane = name;
    if (name !== "talk") {
      this.#first = name;
      keep("staithe.pane", name);
    }
    for (const tab of /** @type {NodeListOf<HTMLButtonElement>} */ (this.#tabs.querySelectorAll("[role=tab]"))) {
      const chosen = tab.dataset.show === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    return name === "talk" ? {} : this.#place();
  }

  /** Shows the first pane, and the second where there is room, and hides the others. @returns {Promise<Pane>} the first */
  #place() {
    if (this.second.name === this.#first) this.second.set("");
    const seen = [this.#first, NARROW.matches ? "" : this.second.name].filter(Boolean);
    const before = this.#seen;
    this.#seen = new Set(seen);
    for (const [name, { host, pane }] of this.#open) {
      if (this.#seen.has(name)) continue;
      if (!host.hidden) pane.hidden?.();
      host.hidden = true;
    }
    const opened = seen.map((name) => {
      const coming = this.#get(name);
      const host = this.#open.get(name)?.host;
      if (host) host.hidden = false;
      host?.toggleAttribute("data-second", name !== this.#first);
      return before.has(name) ? coming : coming.then((pane) => {
        if (this.#seen.has(name)) pane.shown?.();
        return pane;
      });
    });
    this.second.show(seen.length > 1);
    return /** @type {Promise<Pane>} */ (opened[0]);
  }

  /** @param {string} name @returns {Promise<Pane>} */
  #get(name) {
    const there = this.#open.get(name);
    const coming = this.#opening.get(name);
    if (coming) return coming;
    if (there) return Promise.resolve(there.pane);
    const host = h("section", { id: `pane-${name}`, className: "pane" });
    this.#dress(host, name);
    $("panes").append(host);
    /** @type {Pane} */
    const empty = {};
    const entry = { host, pane: empty };
    this.#open.set(name, entry);
    const work = import(`./panes/${name}.js`)
      .then((module) => module.default(host, this.context))
      .then((/** @type {Pane} */ pane) => {
        entry.pane = pane;
        pane.joined?.();
        return pane;
      })
      .catch((error) => {
        this.#opening.delete(name);
        this.#open.delete(name);
        const again = h("button", { type: "button", on: { click: () => { host.remove(); this.#open.delete(name); this.#place(); } } }, t("pane.again"));
        host.replaceChildren(h("div", { className: "empty", role: "alert" }, h("p", {}, t("pane.failed", { reason: String(error?.message ?? error) })), again));
        this.#open.set(name, { host, pane: empty });
        reportError(error);
        return empty;
      });
    this.#opening.set(name, work);
    return work;
  }

  /** @param {HTMLElement} host @param {string} name */
  #dress(host, name) {
    host.setAttribute("role", "tabpanel");
    host.setAttribute("aria-labelledby", `tab-${name}`);
    host.removeAttribute("aria-label");
  }

  /** @param {(pane: Pane) => void} tell */
  each(tell) {
    for (const { pane } of this.#open.values()) {
      try {
        tell(pane);
      } catch (error) {
        reportError(error); // one pane's fault is not the others'
      }
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tabs = /** @type {HTMLButtonElement[]} */ ([...this.#tabs.querySelectorAll("[role=tab]")].filter((tab) => /** @type {HTMLElement} */ (tab).offsetParent));
    const at = tabs.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : step && at >= 0 ? (at + step + tabs.length) % tabs.length : -1;
    const tab = tabs[to];
    if (!tab) return;
    event.preventDefault();
    tab.focus();
    tab.click();
  }

  #fit() {
    if (!NARROW.matches) return void (this.#shown === "talk" ? this.show(kept("staithe.pane") ?? "files") : this.#place());
    // All were in sight: the conversation stays, unless somebody is at work in a pane.
    const used = [...this.#open].find(([, { host }]) => host.contains(document.activeElement))?.[0];
    this.#place();
    this.show(used ?? "talk");
  }

  /** The width of the conversation. */
  #divider() {
    const line = /** @type {HTMLElement} */ ($("divider"));
    const body = /** @type {HTMLElement} */ (line.parentElement);
    const set = (/** @type {number} */ percent) => {
      body.style.setProperty("--split", String(percent));
      keep("staithe.split", String(percent));
    };
    const before = Number(kept("staithe.split"));
    if (before) body.style.setProperty("--split", String(Math.min(MOST, Math.max(LEAST, before))));
    new Divider(line, { before: () => body.querySelector(".talk"), after: () => $("panes"), set, reset: () => set(USUAL), least: LEAST, most: MOST });
  }
}
