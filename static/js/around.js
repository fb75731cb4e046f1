// What stands around the panes of a session: the switcher, sharing, who is here, calls to come back, and its commands in the palette.

import { get, sessionPath } from "./api.js";
import { complain, copyText, notice } from "./dialog.js";
import { $, h } from "./dom.js";
import { openMenu } from "./files-menu.js";
import { Examples } from "./first-run.js";
import { t } from "./i18n.js";
import { callBack } from "./notify.js";
import { register } from "./palette.js";
import { Presence } from "./presence.js";
import { renameSession } from "./rename.js";
import { switchSession } from "./switcher.js";

/**
 * What it needs of the session's page.
 * @typedef {object} Page
 * @property {string} id
 * @property {import("./socket.js").SessionSocket} socket
 * @property {() => string} title
 * @property {() => string} role
 * @property {() => boolean} canWrite
 * @property {() => boolean} isUp
 * @property {(title: string) => void} retitled
 * @property {(pane: string) => unknown} show
 */

/** @param {string} id @returns {HTMLButtonElement | null} the button, if it can be pressed now */
function pressable(id) {
  const button = /** @type {HTMLButtonElement | null} */ ($(id));
  return button && !button.disabled && !button.closest("[hidden]") ? button : null;
}

export class Around {
  #share = /** @type {HTMLButtonElement} */ ($("share"));
  #switch = /** @type {HTMLButtonElement} */ ($("switch"));
  #presence = new Presence($("presence"), (command) => this.page.socket.ask(command));
  #examples = new Examples((text, toAgent) => this.#fill(text, toAgent));
  /** Where the header has no room for all: what it leaves out. */
  #more = h("button", { type: "button", id: "head-more", className: "quiet", "aria-haspopup": "menu", "aria-label": t("session.more"), title: t("session.more"), hidden: true, on: { click: () => this.#openMore() } }, "⋯");
  /** Whether an editor may share: nobody who came by a link lets in others. */
  #hosts = false;

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.#switch.addEventListener("click", () => switchSession({ current: page.id, create: this.#creates, anchor: this.#switch }));
    this.#share.addEventListener("click", () => this.share());
    $("rename").addEventListener("click", () => this.#rename());
    $("delete").after(this.#more);
    this.#offer();
  }

  get #creates() {
    return ["user", "operator"].includes(this.page.role());
  }

  /** After each hello. */
  async joined() {
    this.changed();
    if (this.page.role() !== "editor") return;
    try {
      await get(`${sessionPath(this.page.id)}/links`);
      this.#hosts = true;
    } catch {
      this.#hosts = false;
    }
    this.changed();
  }

  /** The phase, or what this person may do, is another. */
  changed() {
    this.#share.hidden = !(this.#creates || this.#hosts);
    $("rename").hidden = this.#more.hidden = !this.page.canWrite();
    this.#examples.setMay(this.page.canWrite() && this.page.isUp());
  }

  /** @param {any} frame */
  frame(frame) {
    this.#presence.frame(frame);
  }

  /** @param {any} event @param {boolean} fresh whether it happened just now */
  event(event, fresh) {
    this.#examples.note(event);
    if (fresh && event.observation === "agent_state_changed") callBack({ id: this.page.id, title: this.page.title() }, event.extras?.agent_state ?? "");
  }

  /** @param {string | null} model that the agent has */
  model(model) {
    this.#examples.setAgent(model !== null);
  }

  /** Its dialog is loaded once somebody wants it. */
  async share() {
    try {
      const { openShare } = await import("./share.js");
      await openShare(this.page.id, this.page.title());
    } catch (error) {
      complain(error);
    }
  }

  async #rename() {
    const session = await renameSession(this.page.id, this.page.title());
    if (session) this.page.retitled(session.title);
    ($("rename").offsetParent ? $("rename") : this.#more).focus();
  }

  #openMore() {
    const { left, bottom } = this.#more.getBoundingClientRect();
    openMenu([
      { label: t("sessions.rename_title"), act: () => $("rename").click() },
      { label: t("action.delete"), danger: true, act: () => $("delete").click() },
    ], left, bottom, t("session.more"));
  }

  /** Puts an example into the composer, addressed to whoever can do it. @param {string} text @param {boolean} toAgent */
  #fill(text, toAgent) {
    const box = /** @type {HTMLTextAreaElement} */ ($("box"));
    const address = /** @type {HTMLInputElement} */ ($("to-agent"));
    if (address.checked !== toAgent) address.click();
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
  }

  /** What the palette has on this page. */
  #offer() {
    const { page } = this;
    const pane = t("palette.pane");
    const session = t("palette.session");
    const agent = t("palette.agent");
    const tabs = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#pane-tabs [data-show]")]).filter((tab) => tab.offsetParent);
    /** The conversation is a tab only where there is little room: the others keep their digits. @param {string} name */
    const digit = (name) => (name === "talk" ? 0 : tabs().filter((tab) => tab.dataset.show !== "talk").findIndex((tab) => tab.dataset.show === name) + 1);
    register(() => tabs().map((tab) => {
      const name = tab.dataset.show ?? "";
      return { id: `pane-${name}`, group: pane, title: t("palette.show", { name: tab.textContent ?? "" }), ...(digit(name) < 10 && { keys: String(digit(name)) }), run: () => tab.click() };
    }));
    register({ id: "composer-focus", group: session, title: t("palette.composer"), keys: "/", when: page.canWrite, run: () => {
      page.show("talk");
      $("box").focus();
    } });
    register({ id: "latest-jump", group: session, title: t("palette.latest"), run: () => {
      page.show("talk");
      $("to-end").click();
    } });
    /** Buttons of the page that the palette presses. @type {[string, string, string, string, string?][]} */
    const buttons = [
      ["share-session", session, t("palette.share"), "share"], ["session-rename", session, t("palette.rename"), "rename"],
      ["session-stop", session, t("palette.stop"), "stop"], ["session-delete", session, t("palette.delete"), "delete"],
      ["code-open", session, t("plugin.vscode_open"), "vscode"],
      ["command-interrupt", session, t("palette.interrupt"), "interrupt"],
      ["agent-look", agent, t("palette.look"), "agent-look", "Ctrl+."], ["agent-pause", agent, t("agent.pause"), "agent-pause"],
      ["agent-stop", agent, t("agent.stop"), "agent-stop"], ["agent-go", agent, t("agent.resume"), "agent-go"],
      ["agent-limits", agent, t("panel.open"), "agent-panel"],
    ];
    for (const [id, group, title, button, keys] of buttons) {
      register({ id, group, title, ...(keys && { keys, elsewhere: true }), when: () => pressable(button) !== null, run: () => pressable(button)?.click() });
    }
    const starts = () => /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("[data-start]")]).find((one) => !one.disabled && one.offsetParent);
    register({ id: "session-start", group: session, title: t("palette.start"), when: () => starts() !== undefined, run: () => starts()?.click() });
    register({ id: "copy-link", group: session, title: t("palette.copy_link"), run: async () => {
      const copied = await copyText(new URL(`/sessions/${page.id}`, location.href).href);
      notice(t(copied ? "share.copied" : "share.copy_failed"), !copied);
    } });
    register({ id: "events-all", group: session, title: t("session.show_all"), when: () => Boolean($("show-all")), run: () => $("show-all").click() });
  }
}
