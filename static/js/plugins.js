// What the page has of plugins: the way to VS Code.

import { get, sessionPath } from "./api.js";
import { complain, notice, whileBusy } from "./dialog.js";
import { $, setText } from "./dom.js";
import { t } from "./i18n.js";

/** The button that opens VS Code in a new tab; there once the sandbox told that it has the plugin. */
export class Code {
  /** @param {string} id the session's */
  constructor(id) {
    this.id = id;
    this.told = false;
    this.button = /** @type {HTMLButtonElement} */ ($("vscode"));
    this.button.addEventListener("click", () => this.open());
  }

  /** @param {any} event any event of the session */
  note(event) {
    if (event.observation === "plugin_changed" && event.extras?.name === "vscode") this.told = true;
  }

  /** @param {boolean} usable the session runs, and this person may write */
  show(usable) {
    this.button.hidden = !this.told || !usable;
  }

  async open() {
    // At once, while the browser knows of the click; where it leads is known when VS Code has begun.
    const tab = window.open("about:blank", "_blank");
    if (!tab) {
      notice(t("plugin.no_tab"));
      return;
    }
    tab.opener = null;
    await whileBusy(this.button, async () => {
      setText(this.button, t("plugin.vscode_starting"));
      try {
        const { vscode_url: url } = await get(`${sessionPath(this.id)}/vscode-url`);
        if (url) tab.location.replace(url);
        else notice(t("plugin.vscode_none"));
        if (!url) tab.close();
      } catch (error) {
        tab.close();
        complain(error);
      } finally {
        setText(this.button, t("plugin.vscode"));
      }
    });
  }
}
