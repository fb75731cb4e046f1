// One upload that goes on where it was cut: tus 1.0, see docs/protocol.md.

import { Problem, problemOf, sessionPath } from "./api.js";

/** Smaller files go in one request, and from their beginning again where that is cut. */
const SMALL = 1024 * 1024;
const ATTEMPTS = 8;
const LONGEST = 8000;
const CONTENT = "application/offset+octet-stream";

/** @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Whether asking again may help. @param {unknown} error */
const passing = (error) => error instanceof Problem && !inTheWay(error) && (error.status === 0 || error.status === 409 || error.status === 429 || (error.status >= 500 && error.status !== 507));

/** Whether another file is in the way. @param {unknown} error */
export const inTheWay = (error) => error instanceof Problem && ["EXISTS", "CONFLICT", "PRECONDITION_REQUIRED"].includes(error.code);

export class Upload {
  /** Where the server keeps what came; empty while nothing is kept. */
  #address = "";
  #offset = 0;
  #force = false;

  /** @param {string} session @param {string} path @param {File} file */
  constructor(session, path, file) {
    this.session = session;
    this.path = path;
    this.file = file;
  }

  /** Replaces what is there, the next time that it runs. */
  replace() {
    this.#force = true;
  }

  /** @param {(bytes: number) => void} progress @param {AbortSignal} signal */
  async run(progress, signal) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#go(progress, signal);
        return;
      } catch (error) {
        if (signal.aborted || !passing(error) || attempt >= ATTEMPTS) throw error;
        await pause(Math.min(LONGEST, 250 * 2 ** attempt), signal);
      }
    }
  }

  /** Lets go of what came. */
  drop() {
    if (this.#address) fetch(this.#address, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } }).catch(() => {});
    this.#address = "";
  }

  /** @param {(bytes: number) => void} progress @param {AbortSignal} signal */
  async #go(progress, signal) {
    const { file } = this;
    if (this.#address) await this.#ask(signal);
    if (!this.#address) {
      const whole = file.size <= SMALL;
      const names = [`path ${base64(this.path)}`, "create_parents", this.#force ? "force" : `if_match ${base64("absent")}`];
      const made = await this.#send("POST", `${sessionPath(this.session)}/uploads`, whole ? file : null, { "Upload-Length": String(file.size), "Upload-Metadata": names.join(",") }, progress, signal);
      if (whole) return;
      this.#address = made.getResponseHeader("Location") ?? "";
      this.#offset = 0;
    }
    // An empty one, with its condition, puts a file in place that came whole and was refused.
    const offset = this.#offset;
    await this.#send("PATCH", this.#address, file.slice(offset), { "Upload-Offset": String(offset), ...(this.#force && { "X-Force": "true" }) }, (bytes) => progress(offset + bytes), signal);
  }

  /** How much has come. @param {AbortSignal} signal */
  async #ask(signal) {
    const answer = await fetch(this.#address, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" }, signal }).catch(() => null);
    if (!answer) throw new Problem(0, null);
    if (answer.ok) this.#offset = Number(answer.headers.get("Upload-Offset") ?? 0);
    else if (answer.status === 404 || answer.status === 410) this.#address = "";
  }

  /**
   * @param {string} method @param {string} url @param {Blob | null} body @param {Record<string, string>} headers
   * @param {(bytes: number) => void} progress @param {AbortSignal} signal @returns {Promise<XMLHttpRequest>}
   */
  #send(method, url, body, headers, progress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch does not tell how far it is
      const abort = () => request.abort();
      request.open(method, url);
      const all = { "Tus-Resumable": "1.0.0", ...(body && { "Content-Type": CONTENT }), ...headers };
      for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
      request.upload.onprogress = ({ loaded }) => progress(loaded);
      request.onload = () => (request.status >= 200 && request.status < 300 ? resolve(request) : reject(problemOf(request.status, request.responseText)));
      request.onerror = () => reject(new Problem(0, null));
      request.onabort = () => reject(new DOMException("", "AbortError"));
      request.onloadend = () => signal.removeEventListener("abort", abort);
      if (signal.aborted) return void reject(new DOMException("", "AbortError"));
      signal.addEventListener("abort", abort);
      request.send(body);
    });
  }
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("", "AbortError"));
    }, { once: true });
  });
}
