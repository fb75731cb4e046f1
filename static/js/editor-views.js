// What is shown of a file that is not edited as text: an image, its first bytes, a part of a large text, a preview.

import { h } from "./dom.js";
import { bytes, number, t } from "./i18n.js";
import { HEX, PART, piece } from "./editor-load.js";
import { makeSurface } from "./editor-code.js";
import { markdown } from "./markdown.js";

/**
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {() => string[]} says for the line below
 * @property {() => void} focus
 * @property {() => void} destroy
 */

/** An image as an image only: what a page of it would do, it can't. @param {Blob} image @param {string} name @returns {View} */
export function imageView(image, name) {
  const address = URL.createObjectURL(image);
  const picture = h("img", { src: address, alt: name });
  const element = h("div", { className: "shown-image", tabIndex: 0, role: "group", "aria-label": name }, picture);
  let size = "";
  picture.addEventListener("load", () => {
    size = picture.naturalWidth ? `${number(picture.naturalWidth)} × ${number(picture.naturalHeight)}` : "";
    element.dispatchEvent(new CustomEvent("says", { bubbles: true }));
  });
  picture.addEventListener("error", () => element.replaceChildren(h("p", { className: "muted" }, t("edit.no_image"))));
  return { element, says: () => (size ? [size] : []), focus: () => element.focus(), destroy: () => URL.revokeObjectURL(address) };
}

/** Whether bytes that are no UTF-8 may be a text of an older encoding: hardly a control character. @param {Uint8Array} content */
function isLetters(content) {
  const controls = content.reduce((count, byte) => count + Number((byte < 32 && byte !== 9 && byte !== 10 && byte !== 13) || byte === 127), 0);
  return content.length > 0 && controls === 0;
}

/** A button that shows bytes as Latin-1, to be read. @param {Uint8Array} content @param {number} size @param {HTMLElement} dump what shows it */
function asLatin(content, size, dump) {
  const hex = dump.textContent ?? "";
  const button = h("button", { type: "button", "aria-pressed": "false", on: { click: () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    dump.setAttribute("aria-label", t(on ? "edit.latin" : "edit.hex"));
    const rest = content.length < size ? `\n${t("edit.latin_part", { shown: bytes(content.length) })}` : "";
    dump.textContent = on ? new TextDecoder("windows-1252").decode(content) + rest : hex;
  } } }, t("edit.latin"));
  return button;
}

/** The first bytes, sixteen a line. @param {Uint8Array} content @param {number} size @returns {View} */
export function hexView(content, size) {
  const shown = content.subarray(0, HEX);
  const lines = [];
  for (let at = 0; at < shown.length; at += 16) {
    const row = [...shown.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex}  ${text}`);
  }
  const odd = isLetters(content);
  const says = odd ? t("edit.not_utf8", { size: bytes(size) }) : size > shown.length ? t("edit.binary_part", { shown: bytes(shown.length), size: bytes(size) }) : t("edit.binary", { size: bytes(size) });
  const dump = h("pre", { className: "hex", tabIndex: 0, role: "group", "aria-label": t("edit.hex") }, lines.join("\n"));
  const element = h("div", { className: "binary", id: "binary" }, h("p", { className: "muted" }, says, ...(odd ? [" ", asLatin(content, size, dump)] : [])), dump);
  return { element, says: () => [], focus: () => dump.focus(), destroy() {} };
}

/** A text that is too large to be edited here, part by part. */
export class LargeView {
  #decoder = new TextDecoder("utf-8");
  #at = 0;
  #text = "";
  #more = h("button", { type: "button", className: "more-of-it" }, t("edit.more"));
  #note = h("span", { className: "muted" });
  #changed = h("span", { role: "status" });
  /** @type {import("./editor-plain.js").Surface | undefined} */
  surface;

  /** @param {string} session @param {import("./editor-load.js").Loaded} loaded @param {string} path @param {() => void} moved */
  constructor(session, loaded, path, moved) {
    this.session = session;
    this.path = path;
    this.version = loaded.version;
    this.size = loaded.size;
    this.moved = moved;
    this.#more.addEventListener("click", () => this.more());
    this.element = h("div", { className: "large" }, h("div", { className: "banner" }, this.#note, this.#changed, this.#more));
    this.#add(loaded.bytes);
  }

  async make() {
    const name = this.path.slice(this.path.lastIndexOf("/") + 1);
    // Colours would have it parsed from its beginning each time that more comes.
    this.surface = await makeSurface({ text: this.#text, name: "", label: t("edit.part_of", { name }), writable: false, exact: false, edited() {}, moved: this.moved });
    this.#text = "";
    this.element.append(this.surface.element);
  }

  /** @param {Uint8Array<ArrayBuffer>} part */
  #add(part) {
    this.#at += part.length;
    const text = this.#decoder.decode(part, { stream: this.#at < this.size });
    if (this.surface) this.surface.append(text);
    else this.#text += text;
    this.#note.textContent = t("edit.large", { shown: bytes(this.#at), size: bytes(this.size) });
    this.#more.hidden = this.#at >= this.size;
  }

  /** The next part, of the same version: of another nothing would fit. */
  async more() {
    this.#more.disabled = true;
    try {
      const next = await piece(this.session, this.path, this.#at, Math.min(PART, this.size - this.#at), this.version);
      if (next.version === this.version) this.#add(next.bytes);
      else this.stale();
    } catch (error) {
      this.#changed.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      this.#more.disabled = false;
    }
  }

  /** What is shown is no longer what is there. */
  stale() {
    this.#more.hidden = true;
    const again = h("button", { type: "button", on: { click: () => this.element.dispatchEvent(new CustomEvent("again", { bubbles: true })) } }, t("edit.reload"));
    this.#changed.replaceChildren(t("edit.large_changed"), " ", again);
  }

  says() {
    return [];
  }

  focus() {
    this.surface?.focus();
  }

  destroy() {
    this.surface?.destroy();
  }
}

/** Whether there is another way to look at a text. @param {string} path @returns {"markdown" | "svg" | ""} */
export function previewOf(path) {
  return /\.(md|markdown)$/i.test(path) ? "markdown" : /\.svg$/i.test(path) ? "svg" : "";
}

/** @param {string} path @param {string} text @returns {View} */
export function preview(path, text) {
  if (previewOf(path) === "svg") return imageView(new Blob([text], { type: "image/svg+xml" }), path);
  const element = h("div", { className: "preview", tabIndex: 0, role: "group", "aria-label": t("edit.preview_of", { name: path }) }, markdown(text));
  return { element, says: () => [], focus: () => element.focus(), destroy() {} };
}
