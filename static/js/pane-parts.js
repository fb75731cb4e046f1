// What several panes are made of: words where nothing can be shown, frames of the sandbox's pages, work in turns, copying.

import { post, sessionPath } from "./api.js";
import { complain, copyText as toClipboard, notice, whileBusy } from "./dialog.js";
import { $, h } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./panes.js").Context} Context */
/** @typedef {import("./dom.js").Child} Child */

/** Words in the middle of a pane: what is missing, and the next step. @param {string} title @param {...Child} more */
export function empty(title, ...more) {
  return h("div", { className: "empty" }, h("p", {}, h("strong", {}, title)), ...more);
}

/** A command or a line of configuration within such words. @param {string} text */
export const codeLine = (text) => h("p", {}, h("code", { className: "hint-code" }, text));

/** What went wrong, and how to try again. @param {unknown} error @param {() => void} again */
export function failure(error, again) {
  const words = error instanceof Error ? error.message : String(error);
  return h("div", { className: "alert bad failure", role: "alert" }, h("span", {}, words), h("button", { type: "button", on: { click: again } }, t("pane.again")));
}

/** Words for a sandbox that doesn't run; null where it does. @param {Context} context */
export function resting({ id, phase, canWrite }) {
  const now = phase().phase;
  if (now === "ready") return null;
  const known = ["starting", "suspended", "stopping", "stopped", "failed"].includes(now);
  const note = empty(t(`parts.rest_${known ? now : "joining"}`));
  note.dataset.rest = now;
  if (canWrite() && ["suspended", "stopped", "failed"].includes(now)) {
    const start = h("button", { type: "button", className: "primary" }, t(now === "suspended" ? "action.wake" : "action.start_again"));
    start.addEventListener("click", () => whileBusy(start, () => post(`${sessionPath(id)}/start`)));
    note.append(start);
  }
  return note;
}

/** Puts a command into the box below the conversation, for the person to send. @param {Context} context @param {string} command */
export async function toComposer(context, command) {
  const box = /** @type {HTMLTextAreaElement} */ ($("box"));
  const toAgent = /** @type {HTMLInputElement} */ ($("to-agent"));
  await context.show("talk"); // where there is room for one of both only
  if (toAgent.checked) toAgent.click();
  box.value = command;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  box.focus();
}

/** A button that does so, for those who may. @param {Context} context @param {string} command */
export function composerButton(context, command) {
  if (!context.canWrite()) return null;
  return h("button", { type: "button", on: { click: () => toComposer(context, command) } }, t("parts.to_composer"));
}

/** @param {string} text */
export async function copyText(text) {
  const copied = await toClipboard(text);
  notice(t(copied ? "parts.copied" : "parts.not_copied"), !copied);
}

/**
 * Opens a new tab at once, while the browser knows of the click; where it leads is asked then.
 * @param {() => Promise<string | null>} address null: there is none, and that was said
 */
export async function openTab(address) {
  const tab = window.open("about:blank", "_blank");
  if (!tab) return notice(t("plugin.no_tab"), true);
  tab.opener = null;
  try {
    const url = await address();
    if (url) tab.location.replace(url);
    else tab.close();
  } catch (error) {
    tab.close();
    complain(error);
  }
}

/** Frames whose origin this page may not have: the server has another one for sandboxes than it had when the page was loaded. */
document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
  if (effectiveDirective !== "frame-src" || !URL.canParse(blockedURI)) return;
  const { origin } = new URL(blockedURI);
  for (const frame of document.querySelectorAll("iframe[data-sandbox]")) {
    if (new URL(/** @type {HTMLIFrameElement} */ (frame).src).origin !== origin) continue;
    const again = h("button", { type: "button", className: "primary", on: { click: () => location.reload() } }, t("parts.reload_page"));
    frame.replaceWith(empty(t("parts.frame_moved"), h("p", {}, t("parts.frame_moved_how", { origin })), again));
  }
});

/**
 * A page of the sandbox's origin. What it may not: lead this page elsewhere; and, unless `more` are further rights of a
 * program that we know, read what was copied elsewhere.
 * @param {string} src @param {string} title @param {() => void} loaded @param {string} [more]
 */
export function sandboxFrame(src, title, loaded, more = "") {
  return h("iframe", {
    sandbox: `allow-scripts allow-same-origin allow-forms allow-popups allow-modals allow-downloads ${more}`.trim(),
    allow: `${more ? "clipboard-read; " : ""}clipboard-write; fullscreen`, title, src, data: { sandbox: "" }, on: { load: loaded },
  });
}

/** Work that is wanted again and again: never twice at once, and once more when it was wanted meanwhile. */
export class Turns {
  #busy = false;
  #again = false;
  /** How long it took last: what takes long is not done without a pause. */
  #took = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => Promise<void>} work tells of its own faults @param {number} [wait] milliseconds in which wishes become one */
  constructor(work, wait = 300) {
    this.work = work;
    this.wait = wait;
  }

  want(wait = Math.max(this.wait, this.#took)) {
    this.#timer ??= setTimeout(() => this.#run(), wait);
  }

  async #run() {
    this.#timer = undefined;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    const began = performance.now();
    try {
      await this.work();
    } finally {
      this.#busy = false;
      this.#took = performance.now() - began;
      if (this.#again) {
        this.#again = false;
        this.want();
      }
    }
  }
}

/** Does something every so often while it is on and the page is looked at. */
export class Ticker {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {() => void} tick @param {number} every in milliseconds */
  constructor(tick, every) {
    this.tick = tick;
    this.every = every;
  }

  /** @param {boolean} on */
  set(on) {
    if (on === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = on ? setInterval(() => document.hidden || this.tick(), this.every) : undefined;
  }
}

/** Outlines in a field of 24 by 24; no font has all such signs. */
const ICONS = {
  reload: "M20 12a8 8 0 1 1-2.4-5.7M20 3v5h-5",
  home: "M3 11l9-8 9 8M6 9v11h12V9M10 20v-6h4v6",
  outside: "M11 5H5v14h14v-6M14 4h6v6M20 4l-9 9",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  back: "M20 12H5M11 5l-7 7 7 7",
  forward: "M4 12h15M13 5l7 7-7 7",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
};

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const make = (/** @type {string} */ tag, /** @type {Record<string, string>} */ attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const svg = make("svg", { viewBox: "0 0 24 24", width: "16", height: "16", "aria-hidden": "true" });
  svg.append(make("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round" }));
  return svg;
}

/** A button whose face is a sign and whose name is words. @param {keyof typeof ICONS} sign @param {string} label @param {() => void} click */
export function signButton(sign, label, click) {
  return h("button", { type: "button", className: "sign-button", title: label, "aria-label": label, on: { click } }, icon(sign));
}
