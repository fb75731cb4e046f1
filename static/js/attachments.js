// Images that go with a message: pasted, dropped or chosen, shown before they are sent, and kept over a reload.

import { notice } from "./dialog.js";
import { h } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { ImageDraft } from "./image-drafts.js";

/** What a model can look at. */
const TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const EACH = 5 * 2 ** 20;
/** With the third more that text needs, all fit into one message to the server. */
const ALL = 15 * 2 ** 20;
const MOST = 8;

/** @typedef {{ name: string, size: number, url: string }} Image */

/** @param {File} file @returns {Promise<string>} */
function read(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(String(reader.result)));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

export class Attachments {
  /** @type {Image[]} */
  #images = [];
  #draft;
  /** Whether it was said that they can't be kept. */
  #told = false;
  /** Whether they are others than those that were kept. */
  #changed = false;
  #restored;
  #list = h("ul", { className: "images", "aria-label": t("attach.list") });
  #input = h("input", { type: "file", className: "sr", accept: TYPES.join(","), multiple: true, tabIndex: -1, "aria-label": t("attach.add") });
  #button = h("button", { type: "button", id: "attach", title: t("attach.add"), hidden: true, on: { click: () => this.#input.click() } }, t("attach.button"));

  /** @param {string} session @param {HTMLElement} form @param {() => boolean} usable @param {(kept: boolean) => void} added images are for the agent; or were, before the page was loaded again */
  constructor(session, form, usable, added) {
    this.usable = usable;
    this.added = added;
    const row = /** @type {HTMLElement} */ (form.querySelector(".composer-row"));
    row.before(this.#list);
    row.querySelector("textarea")?.after(this.#input, this.#button);
    this.#input.addEventListener("change", () => {
      this.#add([...(this.#input.files ?? [])]);
      this.#input.value = "";
    });
    form.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0 || !usable()) return;
      event.preventDefault();
      this.#add(files);
    });
    this.#drops(form, /** @type {HTMLElement} */ (form.closest(".talk") ?? form));
    this.#draft = new ImageDraft(session);
    this.#restored = this.#restore();
  }

  /** Those from before the page was loaded again, unless there are others already. */
  async #restore() {
    const kept = await this.#draft.get();
    if (this.#changed || kept.length === 0) return;
    this.#images = kept;
    this.#draw();
    this.added(true);
  }

  /** Shows them, and keeps them. */
  async #show() {
    this.#changed = true;
    this.#draw();
    const kept = await this.#draft.set(this.#images);
    if (kept || this.#told) return;
    this.#told = true;
    notice(t("attach.not_kept"), true);
  }

  /** @param {HTMLElement} form @param {HTMLElement} area */
  #drops(form, area) {
    const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && this.usable();
    area.addEventListener("dragover", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      form.classList.add("drop");
    });
    area.addEventListener("dragleave", (event) => area.contains(/** @type {Node | null} */ (event.relatedTarget)) || form.classList.remove("drop"));
    area.addEventListener("drop", (event) => {
      form.classList.remove("drop");
      if (!files(event)) return;
      event.preventDefault();
      this.#add([...(event.dataTransfer?.files ?? [])]);
    });
  }

  get any() {
    return this.#images.length > 0;
  }

  /** @param {boolean} yes */
  show(yes) {
    this.#button.hidden = !yes;
    this.#list.hidden = !yes;
  }

  /** Gives them away, to be sent. @returns {string[]} */
  take() {
    const urls = this.#images.map(({ url }) => url);
    this.#images = [];
    this.#show();
    return urls;
  }

  /** Those of a message that is to be changed. @param {string[]} urls */
  put(urls) {
    this.#images = urls.filter((url) => url.startsWith("data:image/")).map((url, index) => ({ name: `${t("event.image")} ${index + 1}`, size: Math.round((url.length - url.indexOf(",")) * 0.75), url }));
    this.#show();
  }

  /** @param {File[]} files */
  async #add(files) {
    await this.#restored;
    for (const file of files) {
      const why = this.#refusal(file);
      if (why) {
        notice(why, true);
        continue;
      }
      try {
        this.#images.push({ name: file.name, size: file.size, url: await read(file) });
      } catch {
        notice(t("attach.unread", { name: file.name }), true);
      }
    }
    this.#show();
    if (this.any) this.added(false);
  }

  /** @param {File} file */
  #refusal({ name, type, size }) {
    const all = this.#images.reduce((sum, image) => sum + image.size, size);
    if (!TYPES.includes(type)) return t("attach.type", { name });
    if (size > EACH) return t("attach.large", { name, most: bytes(EACH) });
    if (all > ALL || this.#images.length >= MOST) return t("attach.many", { name, count: MOST, most: bytes(ALL) });
    return "";
  }

  #draw() {
    this.#list.replaceChildren(...this.#images.map((image) => {
      const remove = h("button", { type: "button", "aria-label": t("attach.remove", { name: image.name }), on: { click: () => this.#remove(image) } }, "✕");
      return h("li", { title: image.name }, h("img", { src: image.url, alt: "" }), h("span", { className: "name" }, image.name), h("span", {}, bytes(image.size)), remove);
    }));
  }

  /** @param {Image} image */
  #remove(image) {
    this.#images = this.#images.filter((other) => other !== image);
    this.#show();
    (this.#list.querySelector("button") ?? this.#button).focus();
  }
}
