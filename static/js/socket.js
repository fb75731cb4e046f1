// The WebSocket `staithe.v1`: cursor, references, reconnection. No element of the page is known here.

import { uuid } from "./api.js";

/** Waits between attempts: 0.25 s, doubled up to 5 s, a little apart from everybody else's. */
export class Backoff {
  #attempt = 0;

  /** The next wait in milliseconds. @param {number} [chance] from 0 to 1 */
  next(chance = Math.random()) {
    const wait = Math.min(5000, 250 * 2 ** this.#attempt);
    this.#attempt += 1;
    return wait * (0.85 + 0.15 * chance);
  }

  reset() {
    this.#attempt = 0;
  }
}

/** The newest event seen; whatever isn't newer is a repetition. */
export class Cursor {
  last = -1;

  /** @param {number} id */
  accept(id) {
    if (!(id > this.last)) return false;
    this.last = id;
    return true;
  }
}

/**
 * Commands without an answer, oldest first. Those marked `keep` survive a reload of the page, those marked `once` not even
 * the connection that they were sent on.
 * @typedef {{ type: string, ref: string, [key: string]: any }} Frame
 * @typedef {{ frame: Frame, keep: boolean, once?: boolean, settle?: (answer: any) => void }} Command
 */
export class Pending {
  /** @type {Map<string, Command>} */
  #commands = new Map();

  /** @param {Storage | null} storage @param {string} key */
  constructor(storage, key) {
    this.storage = storage;
    this.key = key;
    try {
      for (const frame of JSON.parse(storage?.getItem(key) ?? "[]")) this.#commands.set(frame.ref, { frame, keep: true });
    } catch { /* what can't be read is none */ }
  }

  /** @param {Command} command */
  add(command) {
    this.#commands.set(command.frame.ref, command);
    if (command.keep) this.#save();
  }

  /** Takes a command out. @param {string} ref @returns {Command | undefined} */
  take(ref) {
    const command = this.#commands.get(ref);
    if (this.#commands.delete(ref) && command?.keep) this.#save();
    return command;
  }

  /** @param {string} ref */
  get(ref) {
    return this.#commands.get(ref);
  }

  all() {
    return [...this.#commands.values()];
  }

  #save() {
    try {
      this.storage?.setItem(this.key, JSON.stringify(this.all().filter((c) => c.keep).map((c) => c.frame)));
    } catch { /* full or forbidden: the commands live as long as the page */ }
  }
}

/** The server took a command not, or not now. */
export class Refused extends Error {
  /** @param {any} answer */
  constructor(answer) {
    super(answer.reason ? `${answer.reason} (${answer.code})` : answer.code);
    this.answer = answer;
    /** @type {string} */
    this.code = answer.code;
  }
}

const ANSWERS = new Set(["done", "denied", "unavailable", "failed"]);
const SILENCE = 40000;
const PING = 15000;
/** So long what was sent may be without any word from the server before it is asked, and so long the server may take to say that it is there. */
const UNANSWERED = 5000;
const PONG = 3000;
const HANDSHAKE = 10000;

/**
 * @typedef {object} Handlers
 * @property {(hello: any) => void} hello
 * @property {(event: any) => void} event new events only, each once, in order
 * @property {(bytes: ArrayBuffer) => void} [binary] terminals' output
 * @property {(frame: any) => void} frame everything else: partial, files, expired, draining
 * @property {(state: "connecting" | "live" | "silent" | "reconnecting" | "offline", seconds: number) => void} state
 * @property {(command: Command, answer: any) => void} answer for commands that nobody awaits
 * @property {() => Promise<boolean>} refused after an attempt that never opened: whether to go on trying
 */
export class SessionSocket {
  cursor = new Cursor();
  backoff = new Backoff();
  /** @type {WebSocket | null} */
  #ws = null;
  #live = false;
  #closed = false;
  #heard = 0;
  /** When the server was asked whether it is there, and since when it owes a word; 0: it isn't, it doesn't. */
  #asked = 0;
  #owes = 0;
  #silent = false;
  #dueAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {string} url without a query @param {Pending} pending @param {Handlers} on */
  constructor(url, pending, on) {
    this.url = url;
    this.pending = pending;
    this.on = on;
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.#ws && this.#lost(this.#ws, false));
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
  }

  get live() {
    return this.#live;
  }

  connect() {
    if (this.#closed || this.#ws) return;
    clearTimeout(this.#timer);
    this.#dueAt = 0;
    this.on.state("connecting", 0);
    const ws = new WebSocket(`${this.url}?after=${this.cursor.last}&presence=1`, "staithe.v1");
    let opened = false;
    ws.onopen = () => { opened = true; };
    ws.binaryType = "arraybuffer";
    ws.onmessage = ({ data }) => (typeof data === "string" ? this.#receive(ws, data) : this.#bytes(ws, data));
    ws.onclose = () => this.#lost(ws, !opened);
    this.#ws = ws;
    this.#silent = false;
    this.#hear();
  }

  /** For good. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#ws?.close();
  }

  retryNow() {
    if (this.#dueAt) this.connect();
  }

  /** Sends a command that is kept until it is answered. @param {any} body @param {boolean} [keep] */
  command(body, keep = true) {
    const command = { frame: { ...body, ref: uuid() }, keep };
    this.pending.add(command);
    this.#send(command.frame);
    return command;
  }

  /** Sends what is meant for what the page shows now: it is not kept beyond this connection, and not sent again. @param {any} body */
  now(body) {
    const command = { frame: { ...body, ref: uuid() }, keep: false, once: true };
    this.pending.add(command);
    if (this.#live) this.#send(command.frame);
    else this.#unsent(command);
  }

  /** @param {Command} command */
  #unsent(command) {
    this.pending.take(command.frame.ref);
    this.on.answer(command, { type: "failed", code: "connection_lost" });
  }

  /** Sends a command and waits for its answer. @param {any} body @returns {Promise<any>} */
  ask(body) {
    return new Promise((resolve, reject) => {
      const settle = (/** @type {any} */ answer) => (answer.type === "done" ? resolve(answer) : reject(new Refused(answer)));
      const command = { frame: { ...body, ref: uuid() }, keep: false, settle };
      this.pending.add(command);
      this.#send(command.frame);
    });
  }

  /** Sends a pending command once more, with its own reference. @param {string} ref */
  resend(ref) {
    const command = this.pending.get(ref);
    if (command) this.#send(command.frame);
  }

  /** @param {any} frame */
  #send(frame) {
    if (!this.#live) return;
    this.#ws?.send(JSON.stringify(frame));
    this.#owes ||= Date.now();
  }

  /** Bytes for a terminal; they are lost where there is no connection. @param {Uint8Array<ArrayBuffer>} bytes */
  sendBytes(bytes) {
    if (!this.#live) return false;
    this.#ws?.send(bytes);
    this.#owes ||= Date.now();
    return true;
  }

  /** A frame without an answer, such as a size; lost where there is no connection. @param {any} frame */
  tell(frame) {
    this.#send(frame);
  }

  /** Whatever comes shows that the server is there. */
  #hear() {
    this.#heard = Date.now();
    this.#owes = 0;
    this.#asked = 0;
    if (!this.#silent) return;
    this.#silent = false;
    this.on.state("live", 0);
  }

  /** @param {WebSocket} ws @param {ArrayBuffer} bytes */
  #bytes(ws, bytes) {
    if (ws !== this.#ws) return;
    this.#hear();
    this.on.binary?.(bytes);
  }

  /** @param {WebSocket} ws @param {string} text */
  #receive(ws, text) {
    if (ws !== this.#ws) return;
    this.#hear();
    const frame = JSON.parse(text);
    if (frame.type === "event") {
      if (this.cursor.accept(frame.event.id)) this.on.event(frame.event);
    } else if (frame.type === "hello") {
      this.backoff.reset();
      this.#live = true;
      const waiting = this.pending.all(); // what is asked from here on is sent at once
      this.on.hello(frame);
      this.on.state("live", 0);
      for (const command of waiting) this.#send(command.frame);
    } else if (ANSWERS.has(frame.type)) {
      this.#answered(frame);
    } else if (frame.type !== "pong") {
      if (frame.type === "draining") this.#dueAt = -Math.max(250, frame.retry_after * 1000);
      this.on.frame(frame);
    }
  }

  /** @param {any} answer */
  #answered(answer) {
    const waiting = this.pending.get(answer.ref);
    const again = answer.type === "unavailable" && waiting?.keep;
    const command = again ? waiting : this.pending.take(answer.ref);
    if (command?.settle) command.settle(answer);
    else if (command) this.on.answer(command, answer);
    else if (answer.type !== "done") this.on.answer({ frame: { type: "", ref: "" }, keep: false }, answer);
  }

  /** @param {WebSocket} ws @param {boolean} neverOpened */
  async #lost(ws, neverOpened) {
    if (ws !== this.#ws) return;
    this.#ws = null;
    this.#live = false;
    ws.onclose = ws.onmessage = null;
    ws.close();
    for (const command of this.pending.all()) {
      const { frame } = command;
      if (command.once) this.#unsent(command);
      else if (frame.type === "interrupt" || frame.type === "watch") this.pending.take(frame.ref)?.settle?.({ type: "failed", code: "connection_lost" });
    }
    if (this.#closed) return;
    const asked = this.#dueAt < 0 ? -this.#dueAt : 0;
    const wait = Math.max(asked, this.backoff.next());
    this.#dueAt = Date.now() + wait;
    this.#tell();
    if (neverOpened && !(await this.on.refused())) {
      this.close();
      this.#dueAt = 0;
      this.on.state("offline", 0);
      return;
    }
    if (!this.#dueAt || this.#ws) return;
    this.#timer = setTimeout(() => this.connect(), Math.max(0, this.#dueAt - Date.now()));
  }

  /** Once a second: the countdown, the ping, and the silence that means a dead line. */
  #watch() {
    const now = Date.now();
    if (this.#dueAt > 0) return this.#tell();
    if (!this.#ws || document.hidden) return;
    const quiet = now - this.#heard;
    if (quiet > (this.#live ? SILENCE : HANDSHAKE)) return void this.#lost(this.#ws, false);
    if (!this.#live) return;
    if (!this.#asked && (quiet > PING || (this.#owes && now - this.#owes > UNANSWERED))) {
      this.#asked = now;
      this.#send({ type: "ping", nonce: now });
    } else if (this.#asked && now - this.#asked > PONG && !this.#silent) {
      this.#silent = true;
      this.on.state("silent", 0);
    }
  }

  #tell() {
    if (navigator.onLine === false) this.on.state("offline", 0);
    else this.on.state("reconnecting", Math.max(1, Math.ceil((this.#dueAt - Date.now()) / 1000)));
  }
}
