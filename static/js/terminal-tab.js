// One terminal of the pane: its tab, its panel with the screen, and the words above it on who types and how it ended.

import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { Line } from "./terminal-line.js";

/** Panels and tabs get names of their own; a terminal's number may come again. */
let made = 0;

/**
 * @typedef {object} Wish what a tab asks of its pane
 * @property {() => void} choose
 * @property {() => void} rename
 * @property {() => void} close
 * @property {() => void} again a new terminal in place of this one
 * @property {(work: Promise<unknown>) => void} tell shows its failure
 * @property {() => void} changed
 */

export class Tab {
  /** What the note says, so that its buttons stay the same while it does. */
  #noted = "";
  /** Its share of the room, beside the others. */
  grow = 1;

  /**
   * @param {import("./socket.js").SessionSocket} socket @param {() => boolean} canWrite @param {Wish} wish
   * @param {(wants: import("./terminal-screen.js").Wants) => import("./terminal-line.js").AnyScreen} makeScreen
   * @param {{ leave: () => void, find: () => void }} keys
   */
  constructor(socket, canWrite, wish, makeScreen, keys) {
    made += 1;
    this.wish = wish;
    this.canWrite = canWrite;
    this.screen = makeScreen({ typed: (bytes) => this.line.type(bytes), focused: () => this.#focused(), ...keys });
    this.line = new Line(socket, this.screen, canWrite, () => this.#changed());
    this.button = h("button", { type: "button", id: `term-tab-${made}`, role: "tab", "aria-controls": `term-panel-${made}`, "aria-keyshortcuts": "F2 Delete", tabIndex: -1 });
    this.button.addEventListener("click", () => wish.choose());
    this.button.addEventListener("dblclick", () => wish.rename());
    this.button.addEventListener("auxclick", (event) => event.button === 1 && wish.close());
    this.note = h("div", { className: "term-note", role: "status" });
    this.panel = h("section", { id: `term-panel-${made}`, className: "term-panel", role: "tabpanel", "aria-labelledby": `term-tab-${made}`, hidden: true }, this.note, this.screen.element);
    this.#changed();
  }

  get label() {
    const { info } = this.line;
    return info ? t("terminal.tab", { id: String(info.id), name: info.name }) : t("terminal.opening");
  }

  /** @param {boolean} shown @param {boolean} active @param {number} place among those that are shown */
  place(shown, active, place) {
    this.panel.hidden = !shown;
    this.panel.style.order = String(2 * place); // a line stands between any two
    if (!shown) this.setGrow(1);
    this.panel.classList.toggle("active", active);
    this.button.setAttribute("aria-selected", String(shown));
    this.button.classList.toggle("active", active);
    if (shown) this.screen.show();
    else this.screen.hide();
  }

  /** @param {number} grow */
  setGrow(grow) {
    this.grow = grow;
    this.panel.style.flexGrow = String(grow);
  }

  #focused() {
    this.wish.choose();
    this.line.fit(true);
  }

  #changed() {
    const { line } = this;
    setText(this.button, this.label);
    this.button.title = line.info?.title ?? "";
    this.button.dataset.state = line.state;
    this.panel.dataset.state = line.state;
    this.screen.setReadOnly(!line.mayType);
    this.#say();
    this.wish.changed();
  }

  /** May be another one now, or has joined anew. */
  refresh() {
    this.#changed();
  }

  #say() {
    const [key, text, ...buttons] = this.#words();
    const said = `${key} ${text}`;
    if (said === this.#noted) return;
    this.#noted = said;
    const actions = buttons.map(([label, act]) => h("button", { type: "button", on: { click: act } }, label));
    this.note.replaceChildren(...(text ? [h("div", { className: `banner${key === "gone" || key === "unsent" || key === "failed" ? " warn" : ""}`, data: { note: key } }, h("span", {}, text), ...actions)] : []));
  }

  /** @returns {[string, string, ...[string, () => void][]]} what it is about, the words, and buttons with what they do */
  #words() {
    const { line } = this;
    const { info } = line;
    const canWrite = this.canWrite();
    /** @type {[string, () => void]} */
    const again = [t("terminal.again"), () => this.wish.again()];
    /** @type {[string, () => void]} */
    const close = [t("action.close"), () => this.wish.close()];
    const after = canWrite ? [again, close] : [close];
    if (line.state === "ended") {
      const { code = 0, signal = 0 } = info?.exit ?? {};
      return ["ended", signal ? t("terminal.ended_signal", { code: String(code), signal: String(signal) }) : t("terminal.ended", { code: String(code) }), ...after];
    }
    if (line.state === "gone") return ["gone", t("terminal.gone"), ...after];
    if (line.state === "away" && line.reason) return ["failed", line.reason, [t("pane.again"), () => line.follow()]];
    if (line.unsent) return ["unsent", t("terminal.unsent")];
    if (!canWrite) return ["watch", t("terminal.watch")];
    if (line.driver === "me") return ["me", t("terminal.drive_me"), [t("terminal.let_go"), () => this.wish.tell(line.drive(false))]];
    if (line.driver === "other") return ["other", t("terminal.drive_other"), [t("terminal.take_over"), () => this.wish.tell(line.drive(true, true))]];
    return ["", ""];
  }

  dispose() {
    this.screen.dispose();
    this.button.remove();
    this.panel.remove();
  }
}
