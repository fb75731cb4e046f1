// A command's output as text: escape sequences are dropped, carriage returns and backspaces obeyed,
// and only the newest part is kept once there is too much of it.

/** Characters of one card in the page. */
export const MAX_TEXT = 200 * 1024;
const CHUNK = 8192;
// CSI, OSC/DCS/APC strings, charset choices, and other two-character escapes
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()*+][\w=]|\x1b[^[\]PX^_()*+]/g;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[()*+])?$/;
const CONTROLS = /[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]/g;

/** Writes into an element that holds nothing else. */
export class TermText {
  /** Whether the beginning was left out. */
  cut = false;
  #carry = "";
  #line = "";
  #column = 0;
  #length = 0;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.tail = document.createTextNode("");
    element.replaceChildren(this.tail);
  }

  /** @param {string} text */
  push(text) {
    let raw = this.#carry + text;
    const open = UNFINISHED.exec(raw);
    this.#carry = open && open[0].length < 4096 ? open[0] : "";
    if (this.#carry) raw = raw.slice(0, raw.length - this.#carry.length);
    const clean = raw.replace(ESCAPES, (e) => (e.endsWith("K") ? "\x1b" : "")).replace(CONTROLS, "");
    let done = "";
    for (const [piece] of clean.matchAll(/[^\n\r\b\x1b]+|[\n\r\b\x1b]/g)) {
      if (piece === "\n") {
        done += `${this.#line}\n`;
        this.#line = "";
        this.#column = 0;
      } else if (piece === "\r") this.#column = 0;
      else if (piece === "\b") this.#column = Math.max(0, this.#column - 1);
      else if (piece === "\x1b") this.#line = this.#line.slice(0, this.#column);
      else this.#write(piece);
    }
    if (this.#line.length > CHUNK * 4) {
      done += this.#line.slice(0, this.#column);
      this.#line = "";
      this.#column = 0;
    }
    if (done) this.#commit(done);
    if (this.tail.data !== this.#line) this.tail.data = this.#line;
  }

  /** A line of ours between the text. @param {string} text */
  gap(text) {
    const mark = document.createElement("span");
    mark.className = "gap";
    mark.textContent = text;
    if (this.#line) this.#commit(this.#line);
    this.#line = "";
    this.#column = 0;
    this.tail.data = "";
    this.element.insertBefore(mark, this.tail);
  }

  /** @param {string} piece */
  #write(piece) {
    if (this.#column === this.#line.length) this.#line += piece;
    else this.#line = this.#line.slice(0, this.#column) + piece + this.#line.slice(this.#column + piece.length);
    this.#column += piece.length;
  }

  /** @param {string} text */
  #commit(text) {
    let rest = text;
    if (rest.length > MAX_TEXT) {
      rest = rest.slice(-MAX_TEXT);
      this.cut = true;
    }
    const last = this.tail.previousSibling;
    if (last instanceof Text && last.length + rest.length < CHUNK) last.appendData(rest);
    else for (let at = 0; at < rest.length; at += CHUNK) this.element.insertBefore(document.createTextNode(rest.slice(at, at + CHUNK)), this.tail);
    this.#length += rest.length;
    while (this.#length > MAX_TEXT && this.element.firstChild && this.element.firstChild !== this.tail) {
      if (this.element.firstChild instanceof Text) this.#length -= this.element.firstChild.length;
      this.element.firstChild.remove();
      this.cut = true;
    }
  }
}

/** Finished output: head and tail where it is too long. @param {HTMLElement} element @param {string} content @param {string} mark */
export function showOutput(element, content, mark) {
  const half = MAX_TEXT / 2;
  const cut = content.length > MAX_TEXT;
  const term = new TermText(element);
  term.push(cut ? content.slice(0, half) : content);
  if (cut) {
    term.gap(mark);
    term.push(content.slice(-half));
  }
  return cut || term.cut;
}
