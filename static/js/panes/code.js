// VS Code in a frame: it begins when the pane is first shown, and is kept while the pages of the session change.

import { get, sessionPath } from "../api.js";
import { h, setText, sheet } from "../dom.js";
import { elapsed, t, word } from "../i18n.js";
import { Ticker, codeLine, empty, failure, openTab, resting, sandboxFrame, signButton } from "../pane-parts.js";

/** Asked again after this, in milliseconds, while it goes on starting. */
const AGAIN = 2000;
const CONFIG = 'sandbox.plugins = ["vscode"]';

/** @typedef {"none" | "starting" | "open" | "failed" | "absent"} Stage */

class Code {
  #visible = false;
  #attempt = 0;
  /** @type {Stage} */
  #stage = "none";
  #began = 0;
  #clock = new Ticker(() => this.#tick(), 1000);
  /** What the sandbox told last of the plugin. */
  #state = "";
  #told = h("span", { className: "badge", role: "status" });
  #line = h("p", { className: "muted small" });
  #note = h("div", { className: "banner warn preview-note", role: "alert", hidden: true });
  #tools = h("span", { className: "row tools" },
    signButton("reload", t("code.reload"), () => this.#begin()),
    signButton("outside", t("plugin.vscode_open"), () => openTab(() => this.#url())));
  #bar = h("div", { className: "pane-bar" }, h("strong", {}, t("plugin.vscode")), this.#told, h("span", { className: "grow" }), this.#tools);
  #body = h("div", { className: "preview-stage", data: { width: "full" } });

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    host.append(this.#bar, this.#note, this.#body);
    for (const event of context.events) this.event(event);
    this.#show("none", empty(t("files.loading")));
  }

  /** @param {any} event */
  event({ observation, extras }) {
    if (observation !== "plugin_changed" || extras?.name !== "vscode") return;
    this.#state = extras.state;
    setText(this.#told, word("plugin_state", extras.state));
    this.#told.className = `badge ${{ ready: "ok", failed: "fail", starting: "busy", restarting: "busy" }[/** @type {string} */ (extras.state)] ?? ""}`;
    if (this.#stage !== "open") return;
    const bad = extras.state === "failed" || extras.state === "stopped";
    this.#note.hidden = !bad && extras.state !== "restarting";
    this.#note.replaceChildren(h("span", {}, `${t("event.plugin", { name: t("plugin.vscode"), state: word("plugin_state", extras.state) })} ${extras.detail ?? ""}`.trim()),
      h("button", { type: "button", on: { click: () => this.#begin() } }, t("pane.again")));
  }

  joined() {
    this.#fit();
  }

  changed() {
    this.#fit();
  }

  shown() {
    this.#visible = true;
    this.#fit();
  }

  hidden() {
    this.#visible = false;
  }

  /** What the phase and this person's role mean. */
  #fit() {
    const rest = resting(this.context);
    if (rest) {
      this.#attempt += 1;
      return this.#show("none", rest);
    }
    if (!this.context.canWrite()) return this.#show("none", empty(t("code.not_viewers")));
    if (this.#visible && this.#stage === "none") this.#begin();
  }

  /** The address, which signs one browser in, once; null where there is no VS Code. @returns {Promise<string | null>} */
  async #url() {
    const { vscode_url: url } = await get(`${sessionPath(this.context.id)}/vscode-url`);
    if (!url) this.#absent();
    return url;
  }

  async #begin() {
    this.#attempt += 1;
    const mine = this.#attempt;
    this.#began = Date.now();
    this.#show("starting", h("div", { className: "empty" }, h("div", { className: "working" }, h("p", { role: "status" }, h("strong", {}, t("plugin.vscode_starting"))),
      h("progress", { "aria-label": t("plugin.vscode_starting") }), this.#line)));
    this.#tick();
    while (mine === this.#attempt) {
      try {
        const url = await this.#url();
        if (url && mine === this.#attempt) this.#show("open", sandboxFrame(url, t("code.frame"), () => {}, "allow-popups-to-escape-sandbox"));
        return;
      } catch (error) {
        if (mine !== this.#attempt) return;
        if (!(/** @type {any} */ (error).code?.endsWith(".not_ready"))) return this.#show("failed", this.#failed(error));
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
  }

  #tick() {
    setText(this.#line, t("code.so_far", { time: elapsed(Date.now() - this.#began) }));
  }

  #absent() {
    this.#attempt += 1;
    this.#show("absent", empty(t("code.none"), h("p", {}, t("code.none_how")), codeLine(CONFIG), h("p", { className: "help" }, t("parts.see_images"))));
  }

  /** @param {unknown} error */
  #failed(error) {
    return empty(t("code.failed"), failure(error, () => this.#begin()), h("p", { className: "help" }, t("code.failed_how")));
  }

  /** @param {Stage} stage @param {HTMLElement} element */
  #show(stage, element) {
    const same = this.#stage === stage && !this.#body.querySelector("iframe") && this.#body.textContent === element.textContent;
    this.#stage = stage;
    this.#note.hidden = true;
    this.#clock.set(stage === "starting");
    this.#tools.hidden = !["open", "failed"].includes(stage);
    this.#told.hidden = this.#state === "" || stage === "absent" || stage === "none";
    if (!same) this.#body.replaceChildren(element);
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context */
export default async function open(host, context) {
  await Promise.all([sheet("css/parts.css"), sheet("css/preview.css")]);
  return new Code(host, context);
}
