// One open file: what it is, the version that it was opened at, and what happens when somebody else changes it.

import { Problem, filePath, problemOf } from "./api.js";
import { complain, notice } from "./dialog.js";
import { h } from "./dom.js";
import { bytes, t } from "./i18n.js";
import { makeSurface } from "./editor-code.js";
import { endingsOf, load } from "./editor-load.js";
import { LargeView, hexView, imageView, preview, previewOf } from "./editor-views.js";
import { makeMerge } from "./editor-merge.js";
import { isGone, nameOf } from "./files-model.js";
import { Refused } from "./socket.js";

/** Longer texts are saved by a request of their own, and not over the line that everything else needs. */
const LONG = 2 * 1024 * 1024;

/**
 * @typedef {object} Place what a document is part of
 * @property {string} session
 * @property {(body: any) => Promise<any>} op
 * @property {() => void} changed the document is another than was shown
 * @property {() => void} scrolled
 * @property {(path: string) => void} saved
 */
/** @typedef {{ version: string, text: string | null, gone: boolean }} Theirs what somebody else wrote; `text` is null where it is none */

export class Doc {
  version = "";
  size = 0;
  saving = false;
  writable = false;
  /** @type {"lf" | "crlf" | "mixed"} */
  endings = "lf";
  /** @type {"text" | "large" | "image" | "binary"} */
  kind = "text";
  /** @type {Theirs | null} somebody else's version, which stands in the way */
  theirs = null;
  /** @type {import("./editor-plain.js").Surface | null} */
  surface = null;
  /** @type {import("./editor-views.js").View | LargeView | null} */
  view = null;
  /** @type {import("./editor-merge.js").Merge | null} */
  merge = null;
  /** @type {import("./editor-views.js").View | null} */
  preview = null;
  element = h("div", { className: "doc", hidden: true });
  /** Whether its content is here: a tab of before the page was loaded again reads it when it is looked at. */
  loaded = false;
  #closed = false;
  /** Where to go once it is in sight. @type {import("./editor-kept.js").At | null} */
  #wanted;
  /** What is here was never saved, and the file that it was made from is no text now: it is unsaved whatever it says. */
  #stray = false;

  /** @param {string} path @param {Place} place @param {import("./editor-kept.js").At} [at] where one was */
  constructor(path, place, at) {
    this.path = path;
    this.place = place;
    this.#wanted = at ?? null;
    this.element.addEventListener("says", () => place.changed());
    this.element.addEventListener("scroll", () => place.scrolled(), { capture: true, passive: true });
    this.element.addEventListener("again", () => this.reload().catch(complain));
  }

  get dirty() {
    return this.merge !== null || this.#stray || (this.surface?.changed() ?? false);
  }

  get #text() {
    return this.surface ?? (this.view instanceof LargeView ? this.view.surface : undefined);
  }

  /** Where one is. @returns {import("./editor-kept.js").At | undefined} */
  get at() {
    if (this.#wanted) return this.#wanted;
    const surface = this.#text;
    const place = surface?.place();
    return surface && place && { line: place.line, column: place.column, top: surface.top() };
  }

  /** Goes where one was, as soon as it can be seen. */
  settle() {
    if (!this.#wanted || !this.loaded || this.element.clientHeight === 0) return;
    const at = this.#wanted;
    this.#wanted = null;
    if (!this.preview) this.#text?.goTo(at);
  }

  /** What isn't saved, and what it was made from. @returns {import("./editor-kept.js").Unsaved | null} */
  get unsaved() {
    if (!this.dirty || !this.surface) return null;
    return { text: this.merge?.text() ?? this.surface.text(), version: this.version, endings: this.endings };
  }

  get canPreview() {
    return this.kind === "text" && previewOf(this.path) !== "";
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.writable = writable;
    this.surface?.setWritable(writable);
  }

  /** Reads it for the first time. @param {import("./editor-kept.js").Unsaved | null} [unsaved] what was not saved before the page was loaded again */
  async open(unsaved = null) {
    const loaded = await load(this.place.session, this.path).catch((error) => {
      if (unsaved && isGone(error)) return null;
      throw error;
    });
    if (unsaved) await this.#resume(loaded, unsaved);
    else await this.#show(/** @type {import("./editor-load.js").Loaded} */ (loaded));
    if (previewOf(this.path) === "svg" && !this.dirty) this.togglePreview();
    this.loaded = true;
  }

  /** As it was left: with somebody else's version in the way, where there is one. @param {import("./editor-load.js").Loaded | null} loaded null: the file is gone @param {import("./editor-kept.js").Unsaved} unsaved */
  async #resume(loaded, unsaved) {
    const { text, version, endings } = unsaved;
    const now = loaded?.kind !== "text" ? null : endings === "mixed" ? loaded.text : loaded.text.replaceAll("\r\n", "\n");
    await this.#show(loaded && now !== null ? loaded : { kind: "text", version, size: 0, text, bytes: new Uint8Array() });
    if (now === text || this.#closed) return; // it was saved after all
    if (now === null) Object.assign(this, { endings });
    this.#stray = now === null;
    this.surface?.setText(text);
    if (loaded && loaded.version === version) return;
    this.version = version;
    this.theirs = { version: loaded?.version ?? "absent", text: now, gone: !loaded };
    this.place.changed();
  }

  /** @param {import("./editor-load.js").Loaded} loaded */
  async #show(loaded) {
    const { kind, version, size, text, bytes: content, image } = loaded;
    this.#empty();
    Object.assign(this, { kind, version, size });
    const name = nameOf(this.path);
    if (kind === "text") {
      this.endings = endingsOf(text);
      this.surface = await makeSurface({ text, name, label: t("edit.content_of", { name }), writable: this.writable, exact: this.endings === "mixed", edited: () => this.place.changed(), moved: () => this.place.changed() });
      this.surface.setWritable(this.writable);
      this.element.append(this.surface.element);
    } else if (kind === "large") {
      const large = new LargeView(this.place.session, loaded, this.path, () => this.place.changed());
      await large.make();
      this.view = large;
    } else this.view = kind === "image" && image ? imageView(image, name) : hexView(content, size);
    if (this.view) this.element.append(this.view.element);
    if (this.#closed) this.#empty();
    this.place.changed();
  }

  #empty() {
    for (const part of [this.surface, this.view, this.merge, this.preview]) part?.destroy();
    this.surface = this.view = this.merge = this.preview = null;
    this.element.replaceChildren();
  }

  close() {
    this.#closed = true;
    this.#empty();
    this.element.remove();
  }

  focus() {
    (this.merge ?? this.preview ?? this.surface ?? this.view)?.focus();
  }

  /** @param {number} line */
  reveal(line) {
    if (this.preview) this.togglePreview();
    this.#wanted = null;
    this.#text?.reveal(line);
  }

  /** Between the text and what it stands for. */
  togglePreview() {
    const { surface } = this;
    if (!surface || this.merge) return;
    if (this.preview) {
      this.preview.element.remove();
      this.preview.destroy();
      this.preview = null;
    } else {
      this.preview = preview(this.path, surface.text());
      this.element.append(this.preview.element);
    }
    surface.element.hidden = this.preview !== null;
    this.place.changed();
  }

  /** What the line below says. @returns {string[]} */
  says() {
    const surface = this.#text;
    const says = [];
    if (surface && !this.preview && !this.merge) {
      const { line, column, selected } = surface.place();
      says.push(t("edit.place", { line, column }));
      if (selected) says.push(t("edit.selected", { count: selected }));
    }
    says.push(...(this.preview ?? this.view)?.says() ?? []);
    if (this.surface) says.push(this.surface.language || t("edit.plain_text"), this.endings === "mixed" ? t("edit.mixed") : this.endings.toUpperCase());
    says.push(bytes(this.size));
    if (this.surface && !this.writable) says.push(t("edit.read_only"));
    return says;
  }

  // Saving

  async save() {
    if (!this.writable || !this.surface || this.saving || this.theirs) return;
    await this.#write(this.version);
  }

  /** @param {string} version that it is to follow */
  async #write(version) {
    const { surface, path } = this;
    if (!surface) return;
    const text = surface.text();
    const keep = () => {
      this.#stray = false;
      if (surface.text() === text) surface.keep();
    };
    this.saving = true;
    this.place.changed();
    try {
      const content = this.endings === "crlf" ? text.replaceAll("\n", "\r\n") : text;
      const done = content.length > LONG ? await this.#put(content, version) : await this.place.op({ op: "write", path, content, create_parents: true, if_match: version });
      if (done.racy) notice(t("edit.racy", { name: path }), true);
      this.version = done.version ?? "";
      this.size = done.size ?? new Blob([content]).size;
      this.theirs = null;
      keep();
      this.place.saved(this.path);
    } catch (error) {
      const answer = error instanceof Refused ? error.answer : error instanceof Problem ? { ...error.body, code: error.code } : {};
      if (answer.code === "CONFLICT") await this.#stands(String(answer.current_version ?? ""));
      else complain(error);
    } finally {
      this.saving = false;
      this.place.changed();
    }
  }

  /** @param {string} content @param {string} version */
  async #put(content, version) {
    const headers = { "Content-Type": "application/octet-stream", "If-Match": `"${version}"` };
    const answer = await fetch(`${filePath(this.place.session, this.path)}?create_parents=1`, { method: "PUT", headers, body: content }).catch(() => { throw new Problem(0, null); });
    const text = await answer.text();
    if (!answer.ok) throw problemOf(answer.status, text);
    return JSON.parse(text);
  }

  // Somebody else's changes

  /** Looks whether somebody else changed the file. @param {(path: string) => string} where a path went */
  async check(where) {
    if (this.saving || this.#closed || !this.loaded) return;
    const { path, version } = this;
    const now = await this.#versionNow();
    if (now === null || this.saving || path !== this.path || version !== this.version || this.#closed) return;
    if (now === "absent" && where(path) !== path) return this.renamed(where(path));
    if (now === (this.theirs ? this.theirs.version : this.version)) return;
    if (this.theirs && now === this.version) return this.#clear();
    if (this.kind === "large" && now !== "absent") return /** @type {LargeView} */ (this.view).stale();
    if (now === "absent" || this.dirty || this.theirs) await this.#stands(now);
    else await this.reload();
  }

  /** @returns {Promise<string | null>} null: it can't be known now */
  async #versionNow() {
    try {
      const { entries, version = entries?.[0]?.version } = await this.place.op({ op: "stat", path: this.path });
      return version ?? null;
    } catch (error) {
      return error instanceof Refused && error.code === "NOT_FOUND" ? "absent" : null;
    }
  }

  /** What is there now, in the place of what was: cursor and scroll stay. */
  async reload() {
    const loaded = await load(this.place.session, this.path);
    if (this.#closed) return;
    const { surface } = this;
    this.theirs = null;
    this.#stray = false;
    if (!surface || loaded.kind !== "text" || (endingsOf(loaded.text) === "mixed") !== (this.endings === "mixed")) return this.#show(loaded);
    this.#endMerge();
    this.version = loaded.version;
    this.size = loaded.size;
    this.endings = endingsOf(loaded.text);
    surface.setText(this.endings === "mixed" ? loaded.text : loaded.text.replaceAll("\r\n", "\n"));
    surface.keep();
    if (this.preview) {
      this.togglePreview();
      this.togglePreview();
    }
    this.place.changed();
  }

  /** Another version is there than this one was made from. @param {string} version */
  async #stands(version) {
    if (version === "absent") {
      this.theirs = { version, text: null, gone: true };
    } else {
      const now = await load(this.place.session, this.path).catch(() => null);
      const text = now?.kind === "text" ? now.text.replaceAll("\r\n", "\n") : null;
      if (now && text !== null && text === this.surface?.text()) return this.#same(now.version, now.size);
      this.theirs = { version: now?.version ?? version, text, gone: false };
    }
    if (this.merge && this.theirs.text !== null) this.merge.setTheirs(this.theirs.text);
    if (this.preview) this.togglePreview();
    this.place.changed();
  }

  /** They wrote just what stands here. @param {string} version @param {number} size */
  #same(version, size) {
    Object.assign(this, { version, size });
    this.#stray = false;
    this.surface?.keep();
    this.#clear();
  }

  #clear() {
    this.theirs = null;
    this.place.changed();
  }

  /** Theirs in the place of mine; in the text it can be undone. */
  async takeTheirs() {
    await this.reload();
  }

  /** Mine in the place of theirs, of which nothing newer is lost: it is the version that was shown. */
  async keepMine() {
    if (!this.theirs) return;
    const { version } = this.theirs;
    this.theirs = null;
    await this.#write(version);
  }

  /** Both, to be made one by hand. @param {number} width */
  async beginMerge(width) {
    const { surface, theirs } = this;
    if (!surface || !theirs || theirs.text === null || this.merge) return;
    this.merge = await makeMerge({ mine: surface.text(), theirs: theirs.text, name: nameOf(this.path), width });
    surface.element.hidden = true;
    this.element.append(this.merge.element);
    this.merge.focus();
    this.place.changed();
  }

  /** What was made by hand becomes mine, to be saved or to go on with. @param {boolean} save */
  async finishMerge(save) {
    const { merge, surface } = this;
    if (!merge || !surface) return;
    surface.setText(merge.text());
    this.#endMerge();
    this.place.changed();
    if (save) await this.keepMine();
  }

  #endMerge() {
    if (!this.merge) return;
    this.merge.destroy();
    this.merge.element.remove();
    this.merge = null;
    if (this.surface) this.surface.element.hidden = this.preview !== null;
  }

  /** @param {string} path */
  renamed(path) {
    this.path = path;
    if (this.view instanceof LargeView) this.view.path = path;
    this.place.changed();
  }
}
