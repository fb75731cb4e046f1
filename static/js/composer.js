// The box at the bottom: commands, input for the one that runs, messages to the agent.

import { Attachments } from "./attachments.js";
import { $, h, setText } from "./dom.js";
import { said as spoken, t } from "./i18n.js";
import { complain, notice } from "./dialog.js";
import { Draft, History } from "./drafts.js";
import { places } from "./places.js";

/** @typedef {import("./socket.js").SessionSocket} SessionSocket */
/** @typedef {import("./socket.js").Command} Command */

export class Composer {
  #running = false;
  #writable = false;
  #up = true;
  #agent = "";
  /** Whether the person said where the box writes to. */
  #chosen = false;
  #commands = new History();
  #messages = new History();
  #draft = new Draft($("session").dataset.session ?? "");
  /** @type {Map<string, HTMLLIElement>} */
  #waiting = new Map();
  #box = /** @type {HTMLTextAreaElement} */ ($("box"));
  #toAgent = /** @type {HTMLInputElement} */ ($("to-agent"));
  #interrupt = /** @type {HTMLButtonElement} */ ($("interrupt"));
  #images = new Attachments($("session").dataset.session ?? "", $("composer"), () => this.#writable && this.#up, (kept) => this.#mode(kept && this.#box.value ? this.#toAgent.checked : true));

  /** @param {SessionSocket} socket @param {() => void} sent */
  constructor(socket, sent) {
    this.socket = socket;
    this.sent = sent;
    $("composer").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    });
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("input", () => this.#changed());
    this.#toAgent.addEventListener("change", () => {
      this.#mode(this.#toAgent.checked);
      this.#box.focus();
    });
    this.#interrupt.addEventListener("click", () => this.#doInterrupt());
    for (const command of socket.pending.all()) this.#showPending(command);
    places.again = ({ action, args }) => this.#put(actionOf(action, args));
    places.edit = ({ action, args }) => this.#edit(actionOf(action, args));
    this.#restore();
  }

  /** What was written before the page was loaded again. */
  #restore() {
    const { text, toAgent } = this.#draft.get();
    const { choice } = this.#draft;
    if (text) this.#set(text);
    if (text || choice !== undefined) this.#mode(text ? toAgent : Boolean(choice), false);
    else this.#show();
  }

  /** The person said where the box writes to. @param {boolean} toAgent @param {boolean} [keep] whether that is said now */
  #mode(toAgent, keep = true) {
    this.#chosen = true;
    if (keep) this.#draft.choose(toAgent);
    this.#toAgent.checked = toAgent;
    this.#changed();
    this.#show();
  }

  #changed() {
    this.#draft.set(this.#box.value, this.#toAgent.checked);
    this.#fit();
  }

  /** @param {boolean} running */
  setRunning(running) {
    this.#running = running;
    this.#show();
  }

  /** @param {boolean} writable by role @param {boolean} up by phase */
  setState(writable, up) {
    this.#writable = writable;
    this.#up = up;
    this.#show();
  }

  /** @param {string} state the agent's */
  setAgent(state) {
    if (this.#agent === state) return;
    this.#agent = state;
    this.#show();
  }

  /** Where there is a model to talk to, the box writes to the agent; never under the hands of somebody who types. @param {boolean} toAgent */
  prefer(toAgent) {
    if (this.#chosen || this.#box.value !== "") return;
    this.#toAgent.checked = toAgent;
    this.#show();
  }

  focus() {
    this.#box.focus();
  }

  /** What a person ran or said, here or on another page, becomes history. @param {any} event */
  note({ action, source, args }) {
    if (source !== "user") return;
    if (action === "run" && !args?.is_input) this.#commands.add(args?.command ?? "");
    else if (action === "message") this.#messages.add(args?.content ?? "");
  }

  /** The server's answer to a command of ours. @param {Command} command @param {any} answer */
  answered({ frame, keep }, answer) {
    if (answer.code === "connection_lost") return notice(t("connection.unanswered"), true);
    const line = this.#waiting.get(frame.ref);
    if (answer.type === "unavailable" && keep) {
      const seconds = Math.max(1, Math.ceil(answer.retry_after ?? 1));
      if (line) this.#showWait(line, frame.ref, seconds);
      setTimeout(() => this.socket.resend(frame.ref), seconds * 1000);
      return;
    }
    this.#waiting.delete(frame.ref);
    line?.remove();
    if (answer.type === "done") return;
    const reason = `${spoken(answer.reason ?? "")} (${answer.code}${answer.id ? `, ${answer.id}` : ""})`;
    const text = t(answer.type === "denied" ? "session.refused" : "session.failed", { reason });
    const said = textOf(frame);
    if (!said) return notice(text, true);
    const again = h("button", { type: "button" }, t("session.edit_again"));
    const drop = h("button", { type: "button", className: "quiet" }, t("action.dismiss"));
    const refused = h("li", { className: "msg error", role: "alert" }, h("div", { className: "body" }, said), h("div", { className: "row" }, h("span", { className: "small" }, text), again, drop));
    again.addEventListener("click", () => {
      refused.remove();
      this.#edit(frame.action);
    });
    drop.addEventListener("click", () => refused.remove());
    $("pending").append(refused);
  }

  /** @param {HTMLLIElement} line @param {string} ref @param {number} count */
  #showWait(line, ref, count) {
    const note = /** @type {HTMLElement} */ (line.querySelector(".note"));
    setText(note, t("session.waiting", { count }));
    if (note.nextElementSibling) return;
    const give = h("button", { type: "button", className: "quiet" }, t("action.cancel"));
    give.addEventListener("click", () => {
      this.socket.pending.take(ref);
      this.#waiting.delete(ref);
      line.remove();
    });
    note.after(give);
  }

  /** @param {Command} command */
  #showPending({ frame, keep }) {
    const said = textOf(frame);
    if (!keep || !said) return;
    const line = h("li", { className: "runcard", data: { ref: frame.ref } }, h("div", { className: "tail" }, h("span", { className: "cmd" }, said), h("span", { className: "note" }, t("session.sending"))));
    this.#waiting.set(frame.ref, line);
    $("pending").append(line);
  }

  #send() {
    const text = this.#box.value;
    const usable = this.#writable && this.#up;
    const toAgent = this.#toAgent.checked;
    if (!usable || (!text.trim() && !this.#isInput() && !(toAgent && this.#images.any))) return;
    const run = { command: text, ...(this.#running ? { is_input: true } : { blocking: true }) };
    const images = toAgent ? this.#images.take() : [];
    this.#put(toAgent ? actionOf("message", { content: text, image_urls: images }) : { action: "run", args: run });
    this.#set("");
    for (const history of [this.#commands, this.#messages]) history.toEnd();
  }

  /** @param {any} action */
  #put(action) {
    if (!this.#writable || !this.#up) return;
    this.#showPending(this.socket.command({ type: "do", action }));
    this.sent();
  }

  /** Puts an action into the box; what is in it stays in the history. @param {any} action */
  #edit({ action, args }) {
    const toAgent = action === "message";
    if (this.#box.value.trim()) (this.#toAgent.checked ? this.#messages : this.#commands).add(this.#box.value);
    this.#set(args.command ?? args.content ?? "");
    if (toAgent) this.#images.put(args.image_urls ?? []);
    if (!args.is_input) this.#mode(toAgent);
    this.#box.focus();
  }

  #isInput() {
    return this.#running && !this.#toAgent.checked;
  }

  async #doInterrupt() {
    try {
      const { running } = await this.socket.ask({ type: "interrupt" });
      if (running === false) notice(t("session.interrupt_idle"));
    } catch (error) {
      complain(error);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const box = this.#box;
    if (event.isComposing) return;
    const bare = !event.altKey && !event.metaKey && !event.shiftKey;
    if (event.key === "Enter" && bare && !event.ctrlKey) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "c" && event.ctrlKey && bare && this.#running && box.selectionStart === box.selectionEnd) {
      event.preventDefault();
      this.#doInterrupt();
    } else if (event.key === "ArrowUp" && bare && !event.ctrlKey && !box.value.slice(0, box.selectionStart).includes("\n")) {
      this.#recall(event, -1);
    } else if (event.key === "ArrowDown" && bare && !event.ctrlKey && !box.value.slice(box.selectionEnd).includes("\n")) {
      this.#recall(event, 1);
    }
  }

  /** @param {Event} event @param {number} step */
  #recall(event, step) {
    const found = this.#box.readOnly ? undefined : (this.#toAgent.checked ? this.#messages : this.#commands).step(step, this.#box.value);
    if (found === undefined) return;
    event.preventDefault();
    this.#set(found);
  }

  /** @param {string} text */
  #set(text) {
    this.#box.value = text;
    this.#box.setSelectionRange(text.length, text.length);
    this.#changed();
  }

  /** Where the sheet's `field-sizing` isn't known. */
  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight + 2}px`;
  }

  #show() {
    const usable = this.#writable && this.#up;
    const mode = this.#toAgent.checked ? "message" : this.#running ? "input" : "command";
    this.#box.readOnly = !usable;
    this.#images.show(usable && mode === "message");
    $("events").classList.toggle("writable", usable);
    this.#box.placeholder = t(!this.#writable && this.socket.live ? "session.box_viewer" : this.#up ? `session.box_${mode}` : "session.box_down");
    $("composer").classList.toggle("message", mode === "message");
    $("send").disabled = !usable;
    setText($("send"), t(mode === "message" ? "session.send" : mode === "input" ? "session.send_input" : "session.run"));
    const queued = mode === "message" && ["running", "rate_limited", "awaiting_user_confirmation"].includes(this.#agent);
    setText($("composer-mode"), usable ? t(queued ? "session.mode_queued" : `session.mode_${mode}`) : "");
    this.#toAgent.disabled = !usable;
    this.#interrupt.hidden = !this.#running;
    this.#interrupt.disabled = !this.#writable;
  }
}

/** What a person may do again: without what only held then. @param {string} action @param {any} args */
function actionOf(action, { command = "", content = "", image_urls: images }) {
  if (action === "run") return { action, args: { command, blocking: true } };
  return { action, args: { content, ...(images?.length > 0 && { image_urls: images }) } };
}

/** What a person wrote in a command. @param {any} frame @returns {string} */
function textOf({ action }) {
  const { command, content, image_urls: images = [] } = action?.args ?? {};
  return command ?? (content || (images.length > 0 ? t("attach.count", { count: images.length }) : ""));
}
