// Uploads: one after another, each with its progress; an existing file is replaced only when asked for.

import { Problem, filePath, problemOf } from "./api.js";
import { choose, complain, notice } from "./dialog.js";
import { $, h } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @param {string} url @param {File} file @param {Record<string, string>} headers
 * @param {(part: number) => void} progress @returns {{ done: Promise<void>, abort: () => void }}
 */
function put(url, file, headers, progress) {
  const request = new XMLHttpRequest();
  /** @type {Promise<void>} */
  const done = new Promise((resolve, reject) => {
    request.open("PUT", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / Math.max(1, event.total));
    request.onload = () => (request.status >= 200 && request.status < 300 ? resolve() : reject(problemOf(request.status, request.responseText)));
    request.onerror = () => reject(new Problem(0, null));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}

export class Uploads {
  /** @type {Promise<void>} */
  #queue = Promise.resolve();

  /** @param {string} session @param {() => void} changed */
  constructor(session, changed) {
    this.session = session;
    this.changed = changed;
  }

  /** @param {File[]} files @param {string} folder */
  send(files, folder) {
    for (const file of files) {
      const path = folder ? `${folder}/${file.name}` : file.name;
      const bar = h("progress", { max: 1, value: 0, "aria-label": path });
      const cancel = h("button", { type: "button", className: "quiet", "aria-label": `${t("action.cancel")}: ${path}` }, "✕");
      const line = h("li", {}, h("span", { className: "name", title: path }, path), bar, cancel);
      $("uploads").append(line);
      let dropped = false;
      cancel.addEventListener("click", () => {
        dropped = true;
        line.remove();
      });
      this.#queue = this.#queue.then(async () => {
        if (!dropped) await this.#one(path, file, bar, cancel);
        line.remove();
      });
    }
  }

  /** @param {string} path @param {File} file @param {HTMLProgressElement} bar @param {HTMLButtonElement} cancel */
  async #one(path, file, bar, cancel) {
    const attempt = (/** @type {Record<string, string>} */ headers) => {
      const { done, abort } = put(filePath(this.session, path), file, headers, (part) => { bar.value = part; });
      cancel.addEventListener("click", abort);
      return done;
    };
    try {
      try {
        await attempt({ "If-None-Match": "*" });
      } catch (error) {
        if (!(error instanceof Problem) || !(error.code === "EXISTS" || error.status === 412 || error.status === 409)) throw error;
        const answer = await choose({ title: t("confirm.replace_title", { name: path }), body: [t("confirm.replace_text")], choices: [{ value: "yes", label: t("confirm.replace"), kind: "danger" }] });
        if (answer !== "yes") return;
        await attempt({ "X-Force": "true" });
      }
      notice(t("files.uploaded", { name: path }));
      this.changed();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) complain(error);
    }
  }
}
