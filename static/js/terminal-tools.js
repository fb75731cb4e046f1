// The bar of what can be done with the terminal that is looked at, and keys for those who have none.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { Screen } from "./terminal-screen.js";

/** Keys that a finger misses. */
const KEYS = ["escape", "tab", "ctrl-c", "ctrl-d", "left", "up", "down", "right"];

/**
 * @typedef {import("./terminal-tab.js").Tab} Tab
 * @typedef {"find" | "copy" | "paste" | "rename" | "drive" | "close"} Act
 */
export class Tools {
  /** @type {Record<string, HTMLButtonElement>} */
  #buttons = {};

  /** @param {(act: Act) => void} act @param {(on: boolean) => void} setReader @param {() => Tab | null} active @param {boolean} reader */
  constructor(act, setReader, active, reader) {
    const button = (/** @type {Act} */ name, /** @type {string} */ keys) => {
      const title = t(`terminal.${name}_title`);
      const made = h("button", { type: "button", title: keys ? t("terminal.with_key", { title, keys }) : title, data: { act: name }, on: { click: () => act(name) } }, t(`terminal.${name}`));
      this.#buttons[name] = made;
      return made;
    };
    this.reader = h("button", { type: "button", title: t("terminal.reader_title"), "aria-pressed": String(reader), data: { act: "reader" } }, t("terminal.reader"));
    this.reader.addEventListener("click", () => {
      const on = this.reader.getAttribute("aria-pressed") !== "true";
      this.reader.setAttribute("aria-pressed", String(on));
      setReader(on);
    });
    this.title = h("span", { className: "term-title muted small" });
    this.element = h("div", { className: "pane-bar term-tools", role: "toolbar", "aria-label": t("terminal.tools") }, button("find", "Ctrl+Shift+F"), button("copy", "Ctrl+Shift+C"), button("paste", "Ctrl+Shift+V"),
      button("rename", "F2"), this.reader, button("drive", ""), this.title, button("close", ""));
    const keys = KEYS.map((name) => h("button", { type: "button", on: { click: () => this.#press(active(), name) } }, t(`terminal.key.${name}`)));
    this.keys = h("div", { className: "pane-bar term-keys", role: "toolbar", "aria-label": t("terminal.keys") }, ...keys);
    // A click leaves the focus, and what is chosen, in the terminal.
    for (const bar of [this.element, this.keys]) bar.addEventListener("mousedown", (event) => event.preventDefault());
  }

  /** @param {Tab | null} tab @param {string} name */
  #press(tab, name) {
    if (tab?.screen instanceof Screen) tab.screen.press(name);
  }

  /** @param {Tab | null} tab @param {boolean} canWrite */
  show(tab, canWrite) {
    this.element.hidden = !tab;
    const drawn = tab?.screen instanceof Screen;
    const open = tab?.line.state === "open";
    const allowed = {
      find: drawn, copy: true, paste: canWrite && Boolean(navigator.clipboard?.readText), rename: canWrite, drive: canWrite && open && tab.line.driver === "nobody",
      close: canWrite || Boolean(tab?.line.over),
    };
    for (const [name, yes] of Object.entries(allowed)) /** @type {HTMLButtonElement} */ (this.#buttons[name]).hidden = !yes;
    /** @type {HTMLButtonElement} */ (this.#buttons.paste).disabled = /** @type {HTMLButtonElement} */ (this.#buttons.rename).disabled = !open;
    this.reader.hidden = !drawn;
    this.keys.hidden = !drawn || !tab.line.mayType;
    this.title.textContent = tab?.line.info?.title ?? "";
  }
}
