// A terminal as xterm.js shows it: its looks, its keys, what is found, copied and pasted. Nothing of the protocol.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { choose, copyText, notice } from "./dialog.js";
import { coloursOf } from "./terminal-colours.js";

/** Lines above the screen. */
const SCROLLBACK = 10_000;
/** As a full reset, but what is above the screen stays: out of the other screen, modes, mouse, colours, and nothing on the screen. */
const RESET = "\x1b[?1049l\x1b[!p\x1b[?1000;1002;1003;1004;1006l\x1b]104\x07\x1b]110\x07\x1b]111\x07\x1b]112\x07\x1b[H\x1b[2J";

/**
 * @typedef {{ cols: number, rows: number }} Size
 * @typedef {object} Wants what a screen tells
 * @property {(bytes: Uint8Array) => void} typed
 * @property {() => void} focused
 * @property {() => void} leave a key that leads away from the terminal
 * @property {() => void} find
 */

/** Whether drawing by the graphics card is worth it: not where the processor plays the card. */
function hasGraphics() {
  const graphics = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  const name = graphics?.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL;
  const played = name !== undefined && /swiftshader|llvmpipe|softpipe|software|basic render/i.test(String(graphics?.getParameter(name)));
  graphics?.getExtension("WEBGL_lose_context")?.loseContext(); // a browser has few of them
  return graphics !== null && !played;
}

/** @param {string} text what is chosen */
export async function copyChosen(text) {
  if (!text) notice(t("terminal.nothing_chosen"));
  else if (await copyText(text)) notice(t("terminal.copied"));
  else notice(t("terminal.not_copied"), true);
}

/** Only these are led to. @param {string} address */
const isWeb = (address) => /^https?:\/\//i.test(address);

/** @param {string} address */
function follow(address) {
  if (isWeb(address)) window.open(address, "_blank", "noopener,noreferrer");
}

/** A program may write any words over any address: it is shown first. @param {string} address */
async function askToFollow(address) {
  if (!isWeb(address)) return;
  const choices = [{ value: "yes", label: t("terminal.link_open"), kind: /** @type {const} */ ("primary") }];
  if (await choose({ title: t("terminal.link_title"), body: [h("code", { className: "term-address" }, address)], choices })) follow(address);
}

/** @type {boolean | undefined} */
let graphics;

export class Screen {
  /** Bytes that no program waits for an answer to: a replay, or what others answer. */
  quiet = false;
  /** Whether somebody opened it here or has typed here: then this page answers what the program asks its terminal. */
  used = false;
  /** @type {any} */
  #graphics = null;
  #open = false;
  /** The full reset that a replay begins with is still to come. */
  #redrawing = false;
  /** Programs draw on it. */
  draws = true;

  /** @param {any} library @param {Wants} wants @param {{ reader: boolean, used: boolean }} how `reader`: for those who listen */
  constructor(library, wants, { reader, used }) {
    this.used = used;
    this.library = library;
    this.wants = wants;
    this.element = h("div", { className: "term-screen" });
    library.Terminal.strings.promptLabel = t("terminal.input");
    library.Terminal.strings.tooMuchOutput = t("terminal.too_much");
    const term = new library.Terminal({
      allowProposedApi: true, scrollback: SCROLLBACK, fontSize: 13, lineHeight: 1.15, minimumContrastRatio: 4.5, screenReaderMode: reader,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches, linkHandler: { activate: (/** @type {unknown} */ _, /** @type {string} */ address) => askToFollow(address) },
    });
    this.term = term;
    this.fitting = new library.FitAddon();
    this.search = new library.SearchAddon();
    for (const addon of [this.fitting, this.search, new library.Unicode11Addon(), new library.WebLinksAddon((/** @type {unknown} */ _, /** @type {string} */ address) => follow(address))]) term.loadAddon(addon);
    term.unicode.activeVersion = "11";
    term.onData((/** @type {string} */ text) => this.#typed(new TextEncoder().encode(text)));
    term.onBinary((/** @type {string} */ text) => this.#typed(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    term.attachCustomKeyEventHandler((/** @type {KeyboardEvent} */ event) => this.#key(event));
    term.parser.registerEscHandler({ final: "c" }, () => this.#reset());
    this.#answering();
  }

  /** Whether the reset was none: a replay's is done already. */
  #reset() {
    const replays = this.#redrawing;
    this.#redrawing = false;
    return replays;
  }

  /** @param {Uint8Array} bytes */
  #typed(bytes) {
    this.used = true;
    this.wants.typed(bytes);
  }

  /** Many may follow one terminal: what its program asks the terminal is answered by one. */
  #answering() {
    const { parser } = this.term;
    const isOurs = () => this.used && !this.quiet;
    for (const id of [{ final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" }, { final: "n" }, { prefix: "?", final: "n" }, { prefix: ">", final: "q" },
      { intermediates: "$", final: "p" }, { prefix: "?", intermediates: "$", final: "p" }]) parser.registerCsiHandler(id, () => !isOurs());
    parser.registerDcsHandler({ intermediates: "$", final: "q" }, () => !isOurs());
    for (const id of [4, 10, 11, 12]) parser.registerOscHandler(id, (/** @type {string} */ data) => data.includes("?") && !isOurs());
  }

  /** Whether xterm.js shall have the key. @param {KeyboardEvent} event */
  #key(event) {
    if (event.type !== "keydown") return true;
    if (this.term.options.disableStdin && event.key === "Tab") return false; // the page's, where nothing can be typed
    const control = event.ctrlKey && event.shiftKey && !event.altKey && !event.metaKey;
    if (control && event.code === "KeyV") return false; // the browser's
    const does = event.key === "F6" && event.shiftKey ? this.wants.leave
      : control && event.code === "KeyF" ? this.wants.find
      : control && event.code === "KeyC" ? () => this.copy()
      : null;
    if (!does) return true;
    event.preventDefault();
    does();
    return false;
  }

  /** Once its element is in the page and seen. */
  show() {
    if (!this.#open) {
      this.#open = true;
      this.term.options.fontFamily = getComputedStyle(this.element).fontFamily;
      this.recolour();
      this.term.open(this.element);
      this.term.textarea.setAttribute("aria-describedby", "term-hint");
      this.term.textarea.addEventListener("focus", () => this.wants.focused());
    }
    this.#draw();
  }

  /** A browser has few such contexts: what isn't seen gives its own back. */
  hide() {
    this.#graphics?.dispose();
    this.#graphics = null;
  }

  async #draw() {
    graphics ??= hasGraphics();
    if (this.#graphics || !graphics) return;
    const { WebglAddon } = await this.library.webgl();
    if (this.#graphics || !this.element.offsetParent) return;
    const addon = new WebglAddon();
    try {
      this.term.loadAddon(addon);
    } catch {
      return; // elements do as well
    }
    addon.onContextLoss(() => this.hide());
    this.#graphics = addon;
  }

  recolour() {
    const { theme, found, here } = coloursOf(this.element);
    this.term.options.theme = theme;
    this.marks = { matchBackground: found, matchOverviewRuler: found, activeMatchBackground: here, activeMatchColorOverviewRuler: here };
  }

  /** The size that fills its place; null while that isn't seen. @returns {Size | null} */
  fits() {
    const size = this.#open && this.element.offsetParent ? this.fitting.proposeDimensions() : null;
    return size && size.cols > 1 && size.rows > 0 ? { cols: Math.min(1000, size.cols), rows: Math.min(1000, size.rows) } : null;
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    this.term.write(bytes);
  }

  /** Does something once all that was written before is shown. @param {() => void} work */
  then(work) {
    this.term.write("", work);
  }

  /** @param {Size} size */
  resize({ cols, rows }) {
    this.then(() => this.term.resize(cols, rows));
  }

  /** Whether what comes next is past: nothing that it asks is answered. @param {boolean} yes */
  hush(yes) {
    this.then(() => (this.quiet = yes));
  }

  /** What comes next draws the screen anew. */
  replay() {
    this.hush(true);
    this.then(() => (this.#redrawing = true));
    this.term.write(RESET);
  }

  /** A key of the screen's own keys, for those who have no such key. @param {string} name */
  press(name) {
    const arrow = { up: "A", down: "B", right: "C", left: "D" }[name];
    const { applicationCursorKeysMode } = this.term.modes;
    this.term.input(arrow ? `\x1b${applicationCursorKeysMode ? "O" : "["}${arrow}` : ({ escape: "\x1b", tab: "\t", "ctrl-c": "\x03", "ctrl-d": "\x04" }[name] ?? ""));
  }

  /** @param {boolean} no */
  setReadOnly(no) {
    this.term.options.disableStdin = no;
    this.term.options.cursorInactiveStyle = no ? "none" : "outline";
  }

  /** @param {boolean} on */
  setReader(on) {
    this.term.options.screenReaderMode = on;
  }

  focus() {
    this.term.focus();
  }

  async copy() {
    return copyChosen(this.term.getSelection());
  }

  /** @param {string} text */
  paste(text) {
    this.term.paste(text);
    this.focus();
  }

  dispose() {
    this.hide();
    this.term.dispose();
    this.element.remove();
  }
}
