// The panes beside the conversation: a strip of tabs, each pane loaded when it is first shown, the division remembered.

import { $, h } from "./dom.js";
import { t } from "./i18n.js";

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

/** @param {string} key @param {string} [value] */
function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* forbidden: it is forgotten with the page */ }
  return value ?? null;
}

export class Panes {
  /** @type {Map<string, { host: HTMLElement, pane: Pane }>} */
  #open = new Map();
  /** @type {Map<string, Promise<Pane>>} */
  #opening = new Map();
  #root = /** @type {HTMLElement} */ ($("session"));
  #tabs = /** @type {HTMLElement} */ ($("pane-tabs"));
  #shown = "";

  /** @param {Omit<Context, "show">} context @param {Pane} files the pane that is there from the beginning */
  constructor(context, files) {
    /** @type {Context} */
    this.context = Object.assign(context, { show: (/** @type {string} */ name) => this.show(name) });
    const host = /** @type {HTMLElement} */ ($("files"));
    this.#dress(host, "files");
    this.#open.set("files", { host, pane: files });
    for (const name of ["talk", ...PANES]) {
      const tab = h("button", { type: "button", id: `tab-${name}`, role: "tab", tabIndex: -1, data: { show: name } }, t(`pane.${name}`));
      tab.addEventListener("click", () => this.show(name));
      this.#tabs.append(tab);
    }
    this.#tabs.addEventListener("keydown", (event) => this.#key(event));
    NARROW.addEventListener("change", () => this.#fit());
    this.#divider();
    const wanted = new URLSearchParams(location.search).get("pane") ?? (NARROW.matches ? "talk" : remember("staithe.pane"));
    this.show(["talk", ...PANES].includes(wanted ?? "") ? /** @type {string} */ (wanted) : "files");
  }

  /** The pane that is looked at: its name. */
  get shown() {
    return this.#shown;
  }

  /** Shows a pane, loading it where it is the first time. @param {string} name @returns {Promise<Pane>} */
  async show(name) {
    const before = this.#shown;
    if (name === "talk" && !NARROW.matches) name = before && before !== "talk" ? before : "files";
    this.#shown = name;
    this.#root.dataset.pane = name;
    if (name !== "talk") remember("staithe.pane", name);
    for (const tab of /** @type {NodeListOf<HTMLButtonElement>} */ (this.#tabs.querySelectorAll("[role=tab]"))) {
      const chosen = tab.dataset.show === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    if (name === "talk") return {};
    const opened = this.#get(name);
    for (const [other, { host, pane }] of this.#open) {
      const hide = other !== name;
      if (hide && !host.hidden) pane.hidden?.();
      host.hidden = hide;
    }
    const pane = await opened;
    if (this.#shown === name && before !== name) pane.shown?.();
    return pane;
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
        const again = h("button", { type: "button", on: { click: () => { host.remove(); this.show(name); } } }, t("pane.again"));
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
    if (!NARROW.matches && this.#shown === "talk") this.show(remember("staithe.pane") ?? "files");
    // Both were in sight: the conversation stays, unless somebody is at work in the pane.
    else if (NARROW.matches && !$("panes").contains(document.activeElement)) this.show("talk");
  }

  /** The width of the conversation, by mouse, finger and arrow keys. */
  #divider() {
    const line = /** @type {HTMLElement} */ ($("divider"));
    const body = /** @type {HTMLElement} */ (line.parentElement);
    const set = (/** @type {number} */ percent, keep = true) => {
      const value = Math.min(MOST, Math.max(LEAST, Math.round(percent * 10) / 10));
      body.style.setProperty("--split", String(value));
      line.setAttribute("aria-valuenow", String(Math.round(value)));
      if (keep) remember("staithe.split", String(value));
    };
    const now = () => Number(line.getAttribute("aria-valuenow"));
    line.setAttribute("aria-valuemin", String(LEAST));
    line.setAttribute("aria-valuemax", String(MOST));
    set(Number(remember("staithe.split")) || USUAL, false);
    line.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      line.focus();
      line.setPointerCapture(event.pointerId);
      line.classList.add("moving");
    });
    line.addEventListener("pointermove", (event) => {
      if (!line.classList.contains("moving")) return;
      const { left, width } = body.getBoundingClientRect();
      set(((event.clientX - left) / width) * 100);
    });
    for (const end of ["pointerup", "pointercancel"]) line.addEventListener(end, () => line.classList.remove("moving"));
    line.addEventListener("dblclick", () => set(USUAL));
    line.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      set(now() + step);
    });
  }
}
