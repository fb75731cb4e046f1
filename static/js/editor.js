// One file as text: saved with the version it was opened at, so that nobody's work is lost unseen.

import { choose, complain, notice } from "./dialog.js";
import { $, setText } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { Refused } from "./socket.js";

/** Larger files are for download only. */
const MAX_EDIT = 1024 * 1024;

/**
 * @typedef {object} Around
 * @property {(path: string) => string} href
 * @property {() => void} changed
 * @property {(path: string) => void} rename
 * @property {(path: string) => void} remove
 * @property {() => void} opened
 */
export class Editor {
  path = "";
  #version = "";
  #saved = "";
  #crlf = false;
  #text = false;
  #writable = false;
  #saving = false;
  /** @type {string | null} the version that stands in the way; null when none does */
  #theirs = null;
  #area = /** @type {HTMLTextAreaElement} */ ($("text"));
  #leaveTab = false;

  /** @param {(body: any) => Promise<any>} op @param {Around} around */
  constructor(op, around) {
    this.op = op;
    this.around = around;
    this.#area.addEventListener("input", () => this.#mark());
    this.#area.addEventListener("keydown", (event) => this.#key(event));
    this.#area.addEventListener("blur", () => { this.#leaveTab = false; });
    $("save").addEventListener("click", () => this.save());
    $("editor-close").addEventListener("click", () => this.close());
    $("editor-rename").addEventListener("click", () => this.around.rename(this.path));
    $("editor-delete").addEventListener("click", () => this.around.remove(this.path));
    $("take-theirs").addEventListener("click", () => this.#takeTheirs());
    $("keep-mine").addEventListener("click", () => this.#keepMine());
    addEventListener("beforeunload", (event) => this.dirty && event.preventDefault());
    $("editor").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      event.preventDefault();
      this.save();
    });
  }

  get dirty() {
    return this.#text && this.#area.value !== this.#saved;
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.#writable = writable;
    this.#area.readOnly = !writable;
    this.#mark();
  }

  /** @param {string} path @param {number} size */
  async open(path, size) {
    if (path === this.path && this.#text) return this.#area.focus();
    if (!(await this.#mayLeave())) return;
    try {
      if (size > MAX_EDIT) return this.#showBinary(path, "files.too_large", size);
      const answer = await this.op({ op: "read", path });
      if (answer.encoding === "base64" || answer.content === undefined || answer.content.includes("\0")) return this.#showBinary(path, "files.binary", answer.size ?? size);
      if (answer.content.length > MAX_EDIT) return this.#showBinary(path, "files.too_large", answer.content.length);
      this.#load(path, answer.content, answer.version ?? "");
      this.#area.setSelectionRange(0, 0);
      this.#area.scrollTop = 0;
      this.#area.focus();
    } catch (error) {
      complain(error);
    }
  }

  async save() {
    if (!this.#writable || !this.#text || this.#saving || this.#theirs !== null) return;
    await this.#write({ if_match: this.#version });
  }

  /** Looks whether somebody else changed the file. */
  async check() {
    const { path } = this;
    if (!path || !this.#text || this.#theirs !== null || this.#saving) return;
    try {
      const { entries, version = entries?.[0]?.version } = await this.op({ op: "stat", path });
      if (path !== this.path || this.#saving || !version || version === this.#version) return;
      if (version === "absent" || this.dirty) return this.#conflict(version, version === "absent" ? "files.conflict_gone" : "files.changed");
      await this.#reload();
    } catch (error) {
      if (path === this.path && error instanceof Refused && error.code === "NOT_FOUND") this.#conflict("absent", "files.conflict_gone");
    }
  }

  async close() {
    if (await this.#mayLeave()) this.#drop();
  }

  /** @param {string} from @param {string} to */
  renamed(from, to) {
    if (this.path === from) this.#name(to);
    else if (this.path.startsWith(`${from}/`)) this.#name(to + this.path.slice(from.length));
  }

  /** @param {string} path */
  removed(path) {
    if (this.path === path || this.path.startsWith(`${path}/`)) this.#drop();
  }

  /** Nothing here is asked for any more. */
  forget() {
    this.#text = false;
  }

  async #mayLeave() {
    if (!this.dirty) return true;
    const answer = await choose({
      title: t("confirm.unsaved_title"),
      body: [t("confirm.unsaved_text", { name: this.path })],
      choices: [{ value: "discard", label: t("confirm.discard"), kind: "danger" }, { value: "save", label: t("action.save"), kind: "primary" }],
    });
    if (answer === "save") await this.save();
    return answer === "discard" || (answer === "save" && !this.dirty);
  }

  /** @param {{ if_match?: string, force?: boolean }} condition */
  async #write(condition) {
    const content = this.#area.value;
    const { path } = this;
    this.#saving = true;
    this.#mark();
    try {
      const { version } = await this.op({ op: "write", path, content: this.#crlf ? content.replaceAll("\n", "\r\n") : content, create_parents: true, ...condition });
      if (path !== this.path) return;
      this.#version = version ?? "";
      this.#saved = content;
      this.#clearConflict();
      notice(t("files.saved", { name: path }));
      this.around.changed();
    } catch (error) {
      const answer = error instanceof Refused ? error.answer : {};
      if (answer.code === "CONFLICT") this.#conflict(answer.current_version ?? "", answer.current_version === "absent" ? "files.conflict_gone" : "files.conflict");
      else complain(error);
    } finally {
      this.#saving = false;
      this.#mark();
    }
  }

  async #reload() {
    const answer = await this.op({ op: "read", path: this.path });
    const { selectionStart, selectionEnd, scrollTop } = this.#area;
    this.#load(this.path, answer.content ?? "", answer.version ?? "");
    this.#area.setSelectionRange(selectionStart, selectionEnd);
    this.#area.scrollTop = scrollTop;
  }

  async #takeTheirs() {
    if (this.#theirs === "absent") return this.#drop();
    try {
      await this.#reload();
    } catch (error) {
      complain(error);
    }
  }

  async #keepMine() {
    await this.#write({ force: true });
    this.#area.focus();
  }

  /** @param {string} version @param {string} words */
  #conflict(version, words) {
    this.#theirs = version;
    setText($("conflict-text"), t(words));
    $("conflict").hidden = false;
    this.#mark();
  }

  #clearConflict() {
    this.#theirs = null;
    $("conflict").hidden = true;
  }

  /** @param {string} path @param {string} content @param {string} version */
  #load(path, content, version) {
    this.#text = true;
    this.#version = version;
    this.#area.value = content;
    this.#saved = this.#area.value; // the field makes CR LF into LF; a file that has only those keeps them
    this.#crlf = content.includes("\r\n") && !/(^|[^\r])\n/.test(content);
    this.#area.hidden = $("editor-hint").hidden = $("save").hidden = false;
    $("binary").hidden = true;
    this.#clearConflict();
    this.#name(path);
  }

  /** @param {string} path @param {string} words @param {number} size */
  #showBinary(path, words, size) {
    this.#text = false;
    this.#area.hidden = $("editor-hint").hidden = $("save").hidden = true;
    $("binary").hidden = false;
    setText($("binary-text"), t(words, { size: bytes(size) }));
    this.#clearConflict();
    this.#name(path);
  }

  /** @param {string} path */
  #name(path) {
    this.path = path;
    setText($("editor-path"), path);
    $("editor-download").href = this.around.href(path);
    $("editor").hidden = false;
    this.#mark();
    this.around.opened();
  }

  #drop() {
    this.path = "";
    this.#text = false;
    this.#area.value = this.#saved = "";
    $("editor").hidden = true;
    this.#clearConflict();
    this.around.opened();
  }

  #mark() {
    $("dirty").hidden = !this.dirty;
    $("save").disabled = !this.#writable || this.#saving || !this.dirty || this.#theirs !== null;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") {
      this.#leaveTab = true;
    } else if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey && !this.#leaveTab && !this.#area.readOnly) {
      event.preventDefault();
      // insertText keeps the field's own undo
      if (!document.execCommand("insertText", false, "\t")) this.#area.setRangeText("\t", this.#area.selectionStart, this.#area.selectionEnd, "end");
      this.#mark();
    } else if (event.key !== "Shift") {
      this.#leaveTab = false;
    }
  }
}
