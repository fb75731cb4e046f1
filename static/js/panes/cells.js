// The notebook's kernel: cells that the agent and people ran, and a box that runs one.

import { get, post, sessionPath } from "../api.js";
import { CellView } from "../cell-view.js";
import { complain, notice, whileBusy } from "../dialog.js";
import { h, setText, sheet } from "../dom.js";
import { t, word } from "../i18n.js";
import { codeLine, empty, resting } from "../pane-parts.js";

const CONFIG = 'sandbox.plugins = ["jupyter"]';
const PLUGIN = "jupyter";
const EXAMPLE = "print(1 + 1)";
/** Cells that are kept in the page. */
const MOST = 300;
/** Pieces of output that wait for their cell, and cells. */
const MOST_EARLY = 20;
const MOST_HISTORY = 200;
/** Phases in which nothing that ran goes on. */
const ENDED = new Set(["stopped", "failed", "starting"]);

class Cells {
  /** @type {Map<number, CellView>} by the action's id */
  #cells = new Map();
  /** Output that overtook its cell on the way here, by the action's id. @type {Map<number, any[]>} */
  #early = new Map();
  #count = 0;
  /** @type {string[]} */
  #history = [];
  #at = 0;
  #draft = "";
  /** What is known of the kernel: a state of its plugin, or that there is none. */
  #kernel = "";
  #told = h("span", { className: "badge", role: "status" });
  #why = "";
  #interrupt = h("button", { type: "button", on: { click: () => this.#break() } }, t("session.interrupt"));
  #restart = h("button", { type: "button", on: { click: () => this.#again() } }, t("cells.restart"));
  #list = h("ol", { className: "cells", "aria-label": t("cells.list") });
  #note = h("div", { className: "cells-note" });
  #box = h("textarea", { id: "cell-code", className: "code", rows: 3, spellcheck: false, autocapitalize: "none", autocomplete: "off", placeholder: EXAMPLE, "aria-describedby": "cell-hint" });
  #run = h("button", { type: "submit", className: "primary" }, t("session.run"));
  #form = h("form", { className: "cell-form" }, h("label", { className: "sr", htmlFor: "cell-code" }, t("cells.box")), this.#box,
    h("div", { className: "row" }, h("span", { id: "cell-hint", className: "help grow" }, t("cells.hint")), this.#run));
  #body = h("div", { className: "pane-body", tabIndex: 0, role: "group", "aria-label": t("cells.list") }, this.#note, this.#list);

  /** @param {HTMLElement} host @param {import("../panes.js").Context} context */
  constructor(host, context) {
    this.context = context;
    const bar = h("div", { className: "pane-bar" }, h("strong", {}, t("cells.kernel")), this.#told, h("span", { className: "grow" }), this.#interrupt, this.#restart);
    host.append(bar, this.#body, this.#form);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    for (const event of context.events) this.#take(event);
    this.#show();
  }

  /** @param {any} event */
  event(event) {
    const atEnd = this.#isAtEnd();
    const before = this.#count;
    this.#take(event);
    this.#show();
    if (atEnd && (this.#count > before || this.#cells.has(event.cause))) this.#toEnd();
  }

  /** @param {any} event */
  #take(event) {
    const { action, observation, args = {}, extras = {} } = event;
    if (action === "run_ipython" && args.confirmation_state !== "awaiting_confirmation" && args.confirmation_state !== "rejected") this.#add(event);
    else if (observation === "plugin_changed" && extras.name === PLUGIN) this.#state(extras);
    else if (observation === "phase_changed" && ENDED.has(extras.phase)) for (const cell of this.#cells.values()) cell.done || cell.orphan();
    else if (observation && event.cause !== undefined) {
      const cell = this.#cells.get(event.cause);
      if (cell && extras.error_id === "AGENT_ERROR$NO_KERNEL" && this.#kernel === "") this.#kernel = "none";
      cell?.finish(event);
    }
  }

  /** @param {any} event */
  #add(event) {
    this.#count += 1;
    const cell = new CellView(event, this.#count, this.context.id, (code) => this.#edit(code));
    this.#cells.set(event.id, cell);
    this.#list.append(cell.element);
    for (const frame of this.#early.get(event.id) ?? []) cell.partial(frame);
    this.#early.delete(event.id);
    if (this.#cells.size > MOST) {
      const [oldest, view] = /** @type {[number, CellView]} */ (this.#cells.entries().next().value);
      this.#cells.delete(oldest);
      view.element.remove();
    }
    const code = event.args?.code ?? "";
    if (event.source !== "user" || !code || this.#history.at(-1) === code) return;
    this.#history.push(code);
    if (this.#history.length > MOST_HISTORY) this.#history.shift();
    this.#at = this.#history.length;
  }

  /** @param {{ state: string, detail?: string }} plugin */
  #state({ state, detail = "" }) {
    this.#kernel = state;
    this.#why = state === "failed" || state === "restarting" ? detail : "";
  }

  /** @param {any} frame */
  frame(frame) {
    if (frame.type !== "partial" || frame.kind || frame.cause === null) return;
    const cell = this.#cells.get(frame.cause);
    if (!cell) return this.#wait(frame);
    const atEnd = this.#isAtEnd();
    cell.partial(frame);
    if (atEnd) this.#toEnd();
  }

  /** Of a cell that is gone, or of a command, the oldest make room. @param {any} frame */
  #wait(frame) {
    const waiting = this.#early.get(frame.cause) ?? [];
    if (waiting.length < MOST_EARLY) this.#early.set(frame.cause, [...waiting, frame]);
    if (this.#early.size > MOST_EARLY) this.#early.delete(/** @type {number} */ (this.#early.keys().next().value));
  }

  joined() {
    this.#ask();
  }

  changed() {
    this.#ask();
  }

  shown() {
    this.#toEnd();
  }

  /** What the sandbox has now: older events may tell of one that was configured otherwise. */
  async #ask() {
    this.#show();
    if (this.context.phase().phase !== "ready") return;
    try {
      const { plugins } = await get(`${sessionPath(this.context.id)}/plugins`);
      const own = plugins.find((/** @type {any} */ plugin) => plugin.name === PLUGIN);
      if (own) this.#state(own);
      else this.#kernel = "none";
    } catch { /* the events tell it, too */ }
    this.#show();
  }

  #show() {
    const rest = resting(this.context);
    const write = this.context.canWrite();
    const none = this.#kernel === "none";
    const usable = write && !rest && !none;
    this.#told.hidden = none || this.#kernel === "";
    setText(this.#told, word("plugin_state", this.#kernel));
    this.#told.className = `badge ${{ ready: "ok", failed: "fail", starting: "busy", restarting: "busy" }[this.#kernel] ?? ""}`;
    const running = [...this.#cells.values()].some((cell) => !cell.done);
    this.#interrupt.hidden = !write || !running;
    this.#restart.hidden = !usable || this.#kernel === "" || this.#kernel === "stopped";
    this.#form.hidden = !usable;
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (this.#list.querySelectorAll("[data-write]"))) button.hidden = !usable;
    const note = rest ?? (none ? this.#none() : this.#why ? h("div", { className: "alert bad", role: "alert" }, this.#why) : this.#cells.size === 0 ? empty(t(write ? "cells.empty" : "cells.empty_viewer")) : null);
    this.#note.hidden = !note;
    if (note && this.#note.textContent !== note.textContent) this.#note.replaceChildren(note);
  }

  #none() {
    return empty(t("cells.none"), h("p", {}, t("cells.none_how")), codeLine(CONFIG), h("p", { className: "help" }, t("parts.see_images")));
  }

  async #send() {
    const code = this.#box.value;
    if (!code.trim()) return;
    this.#set("");
    try {
      await this.context.socket.ask({ type: "do", action: { action: "run_ipython", args: { code, include_extra: false } } });
    } catch (error) {
      complain(error);
      if (!this.#box.value) this.#set(code); // nothing that was written is lost
    }
  }

  async #break() {
    try {
      const { running } = await this.context.socket.ask({ type: "interrupt" });
      if (running === false) notice(t("session.interrupt_idle"));
    } catch (error) {
      complain(error);
    }
  }

  #again() {
    return whileBusy(this.#restart, async () => this.#state(await post(`${sessionPath(this.context.id)}/plugins/${PLUGIN}/restart?wait_ms=20000`)));
  }

  /** @param {string} code */
  #edit(code) {
    this.#set(code);
    this.#box.focus();
  }

  /** @param {string} code */
  #set(code) {
    this.#box.value = code;
    this.#box.setSelectionRange(code.length, code.length);
    this.#box.rows = Math.min(14, Math.max(3, code.split("\n").length));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const box = this.#box;
    if (event.isComposing || event.altKey || event.metaKey) return;
    if (event.key === "Enter" && (event.shiftKey || event.ctrlKey)) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#newLine();
    } else if (event.key === "ArrowUp" && !event.shiftKey && !box.value.slice(0, box.selectionStart).includes("\n")) this.#recall(event, -1);
    else if (event.key === "ArrowDown" && !event.shiftKey && !box.value.slice(box.selectionEnd).includes("\n")) this.#recall(event, 1);
  }

  /** A line as deep as the one before it, deeper after a colon. */
  #newLine() {
    const box = this.#box;
    const line = box.value.slice(0, box.selectionStart).split("\n").at(-1) ?? "";
    const deep = /^[ \t]*/.exec(line)?.[0] ?? "";
    box.setRangeText(`\n${deep}${/:\s*$/.test(line) ? "    " : ""}`, box.selectionStart, box.selectionEnd, "end");
    box.rows = Math.min(14, Math.max(3, box.value.split("\n").length));
  }

  /** @param {Event} event @param {number} step */
  #recall(event, step) {
    const to = this.#at + step;
    if (to < 0 || to > this.#history.length) return;
    event.preventDefault();
    if (this.#at === this.#history.length) this.#draft = this.#box.value;
    this.#at = to;
    this.#set(this.#history[to] ?? this.#draft);
  }

  #isAtEnd() {
    return this.#body.scrollTop + this.#body.clientHeight >= this.#body.scrollHeight - 40;
  }

  #toEnd() {
    this.#body.scrollTop = this.#body.scrollHeight;
  }
}

/** @param {HTMLElement} host @param {import("../panes.js").Context} context */
export default async function open(host, context) {
  await Promise.all([sheet("css/parts.css"), sheet("css/cells.css")]);
  return new Cells(host, context);
}
