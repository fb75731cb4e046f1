// Uploads: what was dropped or chosen at once is one line with its progress, which can be given up and tried again.

import { choose } from "./dialog.js";
import { $, announce, h, setText } from "./dom.js";
import { bytes, number, t } from "./i18n.js";
import { join, nameOf } from "./files-model.js";
import { Upload, inTheWay } from "./files-tus.js";

const AT_ONCE = 3;
/** As many failures are told by name. */
const NAMED = 5;

/** @typedef {{ upload: Upload, sent: number }} Part */

/** What is sent together. */
class Job {
  #bar = h("progress", { max: 1, value: 0 });
  #says = h("span", { className: "says" });
  #failures = h("ul", { className: "failures", hidden: true });
  #again = h("button", { type: "button", className: "quiet", hidden: true }, t("files.again"));
  #end = h("button", { type: "button", className: "quiet" }, "✕");
  #stop = new AbortController();
  /** @type {Part[]} */
  #left = [];
  /** @type {Part[]} */
  #failed = [];
  #done = 0;
  #sentBefore = 0;
  /** @type {"replace" | "skip" | ""} what holds for all files that are there already */
  #present = "";
  /** @type {Promise<void>} one question at a time */
  #asking = Promise.resolve();

  /** @param {Part[]} parts @param {string} title @param {(path: string) => void} arrived */
  constructor(parts, title, arrived) {
    this.arrived = arrived;
    this.title = title;
    this.count = parts.length;
    this.size = parts.reduce((sum, { upload }) => sum + upload.file.size, 0);
    this.#left = parts;
    this.#bar.setAttribute("aria-label", title);
    this.#end.setAttribute("aria-label", `${t("action.cancel")}: ${title}`);
    this.#end.title = t("action.cancel");
    this.#end.addEventListener("click", () => this.#giveUp());
    this.#again.addEventListener("click", () => this.#retry());
    this.line = h("li", {}, h("span", { className: "name", title }, title), this.#says, this.#bar, this.#again, this.#end, this.#failures);
    this.#show();
  }

  async run() {
    const workers = Array.from({ length: AT_ONCE }, () => this.#work());
    await Promise.all(workers);
    if (this.#stop.signal.aborted) return;
    if (this.#failed.length === 0) {
      announce(t("files.uploaded", { name: this.title }));
      this.line.remove();
      return;
    }
    this.#again.hidden = false;
    this.#end.setAttribute("aria-label", `${t("action.dismiss")}: ${this.title}`);
    this.#end.title = t("action.dismiss");
    this.#again.focus();
  }

  async #work() {
    for (let part; !this.#stop.signal.aborted && (part = this.#left.shift()); ) await this.#one(part);
  }

  /** @param {Part} part */
  async #one(part) {
    const { upload } = part;
    const { signal } = this.#stop;
    const progress = (/** @type {number} */ sent) => this.#progress(part, sent);
    try {
      try {
        await upload.run(progress, signal);
      } catch (error) {
        if (!inTheWay(error)) throw error;
        if (!(await this.#mayReplace(upload.path))) return void this.#settled(part);
        upload.replace();
        await upload.run(progress, signal);
      }
      this.arrived(upload.path);
      this.#settled(part);
    } catch (error) {
      if (signal.aborted) return upload.drop();
      this.#progress(part, 0);
      this.#failed.push(part);
      this.#tell(upload.path, error);
    }
  }

  /** @param {string} path @returns {Promise<boolean>} */
  #mayReplace(path) {
    const asked = this.#asking.then(async () => {
      if (this.#present) return this.#present === "replace";
      const many = this.count > 1;
      const answer = await choose({
        title: t("confirm.replace_title", { name: path }),
        body: [t("confirm.replace_text")],
        choices: [...(many ? [{ value: "skip", label: t("files.skip_all") }, { value: "replace", label: t("files.replace_all"), kind: /** @type {"danger"} */ ("danger") }] : []),
          { value: "yes", label: t("confirm.replace"), kind: "danger" }],
      });
      if (answer === "skip" || answer === "replace") this.#present = answer;
      return answer === "yes" || answer === "replace";
    });
    this.#asking = asked.then(() => {});
    return asked;
  }

  /** @param {Part} part @param {number} sent */
  #progress(part, sent) {
    this.#sentBefore += sent - part.sent;
    part.sent = sent;
    this.#show();
  }

  /** @param {Part} part */
  #settled(part) {
    this.#done += 1;
    this.#progress(part, part.upload.file.size);
  }

  /** @param {string} path @param {unknown} error */
  #tell(path, error) {
    const reason = error instanceof Error ? error.message : String(error);
    this.#failures.hidden = false;
    if (this.#failed.length <= NAMED) this.#failures.append(h("li", {}, t("files.upload_failed", { name: path, reason })));
    else this.#failures.dataset.more = t("files.failed_more", { count: this.#failed.length - NAMED });
  }

  #show() {
    this.#bar.value = this.size ? this.#sentBefore / this.size : this.#done / this.count;
    const part = t("files.part", { sent: bytes(this.#sentBefore), size: bytes(this.size) });
    setText(this.#says, this.count > 1 ? `${t("files.files_of", { done: number(this.#done), count: this.count })} · ${part}` : part);
  }

  #giveUp() {
    this.#stop.abort();
    for (const { upload } of [...this.#failed, ...this.#left]) upload.drop();
    this.line.remove();
  }

  #retry() {
    this.#left = this.#failed;
    this.#failed = [];
    this.#failures.replaceChildren();
    this.#failures.hidden = this.#again.hidden = true;
    delete this.#failures.dataset.more;
    this.#end.focus();
    this.run();
  }
}

export class Uploads {
  /** @type {Promise<void>} */
  #queue = Promise.resolve();

  /** @param {string} session @param {(path: string) => void} arrived */
  constructor(session, arrived) {
    this.session = session;
    this.arrived = arrived;
  }

  /** @param {import("./files-drop.js").Given[]} given @param {string} folder */
  send(given, folder) {
    if (given.length === 0) return;
    const parts = given.map(({ path, file }) => ({ upload: new Upload(this.session, join(folder, path), file), sent: 0 }));
    const first = /** @type {import("./files-drop.js").Given} */ (given[0]).path;
    const tops = new Set(given.map(({ path }) => path.split("/")[0]));
    const title = given.length === 1 ? join(folder, first) : tops.size === 1 ? `${join(folder, [...tops][0] ?? "")}/` : t("files.several", { name: nameOf(first), count: given.length - 1 });
    const job = new Job(parts, title, this.arrived);
    $("uploads").append(job.line);
    this.#queue = this.#queue.then(() => job.run());
  }
}
