// What the agent's browser sees: the pages that it was on, each as it was seen.

import { get, sessionPath } from "../api.js";
import { complain } from "../dialog.js";
import { h, setText, sheet } from "../dom.js";
import { clock, dateTime, parseTime, t } from "../i18n.js";
import { codeLine, copyText, empty, resting, signButton } from "../pane-parts.js";

const PICTURE = /^data:image\/(png|jpeg|webp);base64,/;
const CONFIG = 'sandbox.plugins = ["browser"]';
const PLUGIN = "browser";
const TREE = "Accessibility tree (numbers in brackets are for calls):\n";
/** Pages that can be gone back to: each has its picture in memory. */
const MOST = 100;

/** @param {string} text @param {string} title @param {boolean} [open] */
function fold(text, title, open = false) {
  if (!text.trim()) return null;
  return h("details", { className: "fold-box", open }, h("summary", {}, title), h("pre", { tabIndex: 0, "aria-label": title }, text));
}

/** The accessibility tree of the protocol's own form, where it came along without its text. @param {any} object */
function treeText(object) {
  const nodes = Array.isArray(object?.nodes) ? object.nodes : [];
  const lines = nodes.filter((/** @type {any} */ node) => !node.ignored && node.role?.value).map((/** @type {any} */ node) => `${node.role.value} ${JSON.stringify(String(node.name?.value ?? ""))}`);
  return lines.join("\n");
}

class Browser {
  /** @type {any[]} observations, the oldest first */
  #seen = [];
  #at = -1;
  /** Whether the newest is shown, and those that come. */
  #following = true;
  /** @type {Map<number, string>} what is being opened, by the action's id */
  #opening = new Map();
  /** Whether the sandbox has a browser; null while that is not known. */
  #has = /** @type {boolean | null} */ (null);
  #back = signButton("back", t("browser.back"), () => this.#step(-1));
  #forward = signButton("forward", t("browser.forward"), () => this.#step(1));
  #newest = h("button", { type: "button", on: { click: () => this.#go(this.#seen.length - 1) } }, t("browser.newest"));
  #place = h("span", { className: "small muted" });
  #address = h("input", { type: "text", inputMode: "url", "aria-label": t("browser.address"), placeholder: "https://", spellcheck: false, autocapitalize: "none", autocomplete: "off", enterKeyHint: "go" });
  #open = h("button", { type: "submit" }, t("browser.open"));
  #form = h("form", { className: "address" }, this.#address, this.#open);
  #busy = h("p", { className: "banner preview-note", role: "status", hidden: true });
  #body = h("div", { className: "pane-body", tabIndex: 0, role: "group", "aria-label": t("browser.page") });

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    host.append(h("div", { className: "pane-bar" }, this.#back, this.#forward, this.#newest, this.#place, this.#form), this.#busy, this.#body);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#visit();
    });
    for (const event of context.events) this.#take(event);
    this.#show();
  }

  /** @param {any} event */
  event(event) {
    if (this.#take(event)) this.#show();
  }

  /** Whether it says something of the browser. @param {any} event */
  #take(event) {
    const { action, observation, args = {}, extras = {} } = event;
    if ((action === "browse" || action === "browse_interactive") && args.confirmation_state !== "awaiting_confirmation") {
      this.#opening.set(event.id, action === "browse" ? (args.url ?? "") : (args.browser_actions ?? ""));
      return true;
    }
    if (observation === "plugin_changed" && extras.name === PLUGIN) this.#has = true;
    if (observation === "phase_changed" && extras.phase !== "ready") this.#opening.clear();
    const waited = event.cause !== undefined && this.#opening.delete(event.cause);
    if (observation !== "browse") return waited;
    this.#seen.push(event);
    if (this.#seen.length > MOST) {
      this.#seen.shift();
      this.#at = Math.max(0, this.#at - 1);
    }
    if (this.#following) this.#at = this.#seen.length - 1;
    return true;
  }

  joined() {
    this.#ask();
  }

  changed() {
    this.#ask();
  }

  async #ask() {
    this.#show();
    if (this.context.phase().phase !== "ready") return;
    try {
      const { plugins } = await get(`${sessionPath(this.context.id)}/plugins`);
      this.#has = plugins.some((/** @type {any} */ plugin) => plugin.name === PLUGIN);
    } catch { /* asked again after the next hello */ }
    this.#show();
  }

  async #visit() {
    const typed = this.#address.value.trim();
    if (!typed) return;
    const url = /^[a-z][a-z0-9+.-]*:/i.test(typed) && !/^[^/]*:\d+(\/|$)/.test(typed) ? typed : `http://${typed}`;
    this.#following = true;
    try {
      await this.context.socket.ask({ type: "do", action: { action: "browse", args: { url } } });
    } catch (error) {
      complain(error);
    }
  }

  /** @param {number} by */
  #step(by) {
    this.#go(this.#at + by);
  }

  /** @param {number} at */
  #go(at) {
    this.#at = Math.min(this.#seen.length - 1, Math.max(0, at));
    this.#following = this.#at === this.#seen.length - 1;
    this.#show();
  }

  #show() {
    const count = this.#seen.length;
    const ready = this.context.phase().phase === "ready";
    this.#back.disabled = this.#at <= 0;
    this.#forward.disabled = this.#newest.disabled = this.#at >= count - 1;
    for (const part of [this.#back, this.#forward, this.#newest, this.#place]) part.hidden = count === 0;
    setText(this.#place, t("browser.place", { at: this.#at + 1, count }));
    this.#form.hidden = !this.context.canWrite() || !ready || this.#has !== true;
    const opening = [...this.#opening.values()].at(-1);
    setText(this.#busy, opening === undefined ? "" : t("browser.opening", { what: opening.slice(0, 200) }));
    this.#busy.hidden = opening === undefined;
    const event = this.#seen[this.#at];
    const key = event ? String(event.id) : "none";
    if (event && this.#body.dataset.seen === key) return; // a reader's folds stay
    this.#body.dataset.seen = key;
    if (event) this.#body.replaceChildren(this.#page(event));
    else this.#instead(resting(this.context) ?? this.#nothing());
    this.#body.scrollTop = 0;
  }

  /** @param {HTMLElement} element */
  #instead(element) {
    if (this.#body.textContent !== element.textContent) this.#body.replaceChildren(element);
  }

  #nothing() {
    if (this.#has === false) return empty(t("browser.none"), h("p", {}, t("browser.none_how")), codeLine(CONFIG), h("p", { className: "help" }, t("parts.see_images")));
    return empty(t("browser.nothing"), this.context.canWrite() ? h("p", {}, t("browser.nothing_how")) : null);
  }

  /** @param {any} event */
  #page({ content = "", extras = {}, timestamp = "", id }) {
    const { url = "", screenshot = "", last_browser_action: did = "", last_browser_action_error: wrong = "" } = extras;
    const when = parseTime(timestamp);
    const [text, tree = ""] = content.split(TREE);
    const tabs = extras.open_pages_urls ?? [];
    const picture = PICTURE.test(screenshot) ? h("div", { className: "seen-picture" }, h("img", { src: screenshot, alt: t("browser.picture", { url }) })) : null;
    return h("div", { className: "seen", data: { page: String(id) } },
      h("div", { className: "row" }, h("span", { className: "seen-url" }, url || "–"), url ? signButton("copy", t("preview.copy"), () => copyText(url)) : null,
        h("time", { className: "small muted", title: dateTime(when) }, clock(when))),
      did ? h("p", { className: "small muted" }, t("browser.did"), " ", h("code", {}, did)) : null,
      extras.error || wrong ? h("div", { className: "alert bad", role: "alert" }, wrong || t("browser.failed")) : null,
      picture,
      tabs.length > 1 ? h("details", { className: "fold-box", open: true }, h("summary", {}, t("browser.tabs", { count: tabs.length })),
        h("ul", { className: "seen-tabs" }, ...tabs.map((/** @type {string} */ tab, /** @type {number} */ index) => h("li", index === extras.active_page_index ? { "aria-current": "page" } : {}, tab)))) : null,
      fold(text.trim() === wrong.trim() ? "" : text, t("browser.text"), !picture),
      fold(tree || treeText(extras.axtree_object), t("browser.tree")));
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context */
export default async function open(host, context) {
  await Promise.all([sheet("css/parts.css"), sheet("css/preview.css")]);
  return new Browser(host, context);
}
