// One terminal of the sandbox as this page follows it: its bytes, its size, who types. No element of the page is known here.

import { has, said, t } from "./i18n.js";
import { Refused } from "./socket.js";

/** In a place: these bytes are a replay. */
const REPLAY = 1n << 63n;
/** Bytes of input in one message. */
const PIECE = 64 * 1024;
/** A terminal that is not there any more. */
const GONE = new Set(["terminal.unknown", "terminal.other_epoch"]);

/**
 * @typedef {import("./terminal-screen.js").Size} Size
 * @typedef {{ id: number, epoch: string, name: string, title: string, oldest: number, offset: number, driving: "free" | "one", driver?: string | null, followers: number, exit?: { code: number, signal?: number } | null } & Size} Info
 * @typedef {"new" | "away" | "open" | "ended" | "gone"} State `away`: it isn't followed now
 * @typedef {import("./terminal-screen.js").Screen | import("./terminal-plain.js").PlainScreen} AnyScreen
 */

/** What the server says of a terminal, in the page's language. @param {string} code @param {string} reason */
function inWords(code, reason) {
  const known = `terminal.code.${code.replace("terminal.", "")}`;
  return t("error.with_code", { detail: has(known) ? t(known) : said(reason), code });
}

/** Why something was not done. @param {unknown} error */
export function whyNot(error) {
  if (error instanceof Refused) return inWords(error.code, error.answer.reason ?? "");
  return error instanceof Error ? error.message : String(error);
}

export class Line {
  /** @type {Info | null} */
  info = null;
  /** @type {State} */
  state = "new";
  /** Why it is gone, or can't be followed. */
  reason = "";
  /** Whether this page was the only one who typed when its connection broke off, and takes that up again. */
  wanted = false;
  /** Whether something that was typed could not be sent. */
  unsent = false;
  #you = "";
  /** What this page was on the connection before: the server may take it to be there for a while. */
  #before = "";
  /** Where in all its output this page is. @type {number | undefined} */
  #from;
  /** Bytes of a replay that are still to come. */
  #left = 0;
  /** Where its output was when this page joined: what comes before is its past. */
  #until = 0;
  #catchingUp = false;
  /** Whether the past was had. */
  #past = false;
  /** The past doesn't reach to the beginning: what it left is drawn anew once it is there. */
  #redraw = false;
  #asking = false;
  /** It was taken, and `opened` is to come. */
  #coming = false;
  /** Whether the size is this page's. */
  #sized = false;
  /** @type {Size} */
  #asked = { cols: 0, rows: 0 };

  /** @param {import("./socket.js").SessionSocket} socket @param {AnyScreen} screen @param {() => boolean} canWrite @param {() => void} changed */
  constructor(socket, screen, canWrite, changed) {
    this.socket = socket;
    this.screen = screen;
    this.canWrite = canWrite;
    this.changed = changed;
  }

  get id() {
    return this.info?.id ?? 0;
  }

  /** Whether its program has ended, or it can't be followed ever again. */
  get over() {
    return this.state === "ended" || this.state === "gone";
  }

  /** Who types alone: this page, another one, or nobody. @returns {"me" | "other" | "nobody"} */
  get driver() {
    const driver = this.info?.driver;
    return !driver ? "nobody" : driver === this.#you ? "me" : "other";
  }

  get mayType() {
    return this.state === "open" && this.canWrite() && this.driver !== "other";
  }

  /** Opens a new one. */
  async open() {
    const { terminals } = await this.socket.ask({ type: "terminal.open", ...this.screen.fits() });
    this.#from = 0;
    this.#past = this.#sized = this.#coming = true;
    this.told(terminals[0]);
  }

  /** What a list says of it. @param {Info} info */
  told(info) {
    this.info = { ...info, driver: info.driver ?? null, exit: info.exit ?? null };
    if (this.state === "new") this.state = "away";
    this.changed();
  }

  /** Follows it from where this page is; at first from as far back as is kept, for what is above the screen. */
  async follow() {
    if (this.state !== "away" || this.#asking || this.#coming || !this.info) return;
    this.#asking = true;
    const { oldest, epoch } = this.info;
    if (!this.#past) this.#redraw = oldest > 0 && this.screen.draws;
    const from = this.#past ? this.#from : oldest;
    const place = from === undefined ? {} : { from, epoch };
    try {
      await this.socket.ask({ type: "terminal.open", terminal: this.id, ...place });
      this.#coming = this.state === "away";
    } catch (error) {
      this.#refused(error);
    } finally {
      this.#asking = false;
    }
  }

  /** @param {unknown} error */
  #refused(error) {
    const code = error instanceof Refused ? error.code : "";
    if (code === "terminal.followed_already") return;
    if (code === "terminal.beyond_end") this.#from = undefined; // the next time it begins with a replay
    if (GONE.has(code)) this.lost();
    this.reason = whyNot(error);
    this.changed();
  }

  /** The connection is another one: the server knows of no follower. */
  cut() {
    this.#coming = false;
    if (this.state !== "open") return;
    this.state = "away";
    if (this.driver === "me") this.wanted = true;
    this.changed();
  }

  /** It isn't there any more. */
  lost() {
    this.state = "gone";
    this.changed();
  }

  /** @param {any} frame */
  hear(frame) {
    const info = this.info;
    if (!info) return;
    if (frame.event === "opened") this.#opened(frame);
    else if (frame.event === "replay") this.#replay(frame);
    else if (frame.event === "size") this.#resized(frame);
    else if (frame.event === "title") Object.assign(info, { title: frame.title, name: frame.name });
    else if (frame.event === "driver") this.#drivenBy(frame.driver ?? null);
    else if (frame.event === "exit") {
      info.exit = { code: frame.code, signal: frame.signal };
      this.state = "ended";
    } else if (frame.event === "gone") this.#gone(frame);
    this.changed();
  }

  /** @param {any} frame */
  #opened(frame) {
    const { you, event: _, terminal: __, type: ___, ref: ____, ...info } = frame;
    if (you !== this.#you) this.#before = this.#you;
    this.#you = you;
    this.#coming = false;
    this.state = "open";
    this.reason = "";
    this.unsent = false;
    this.#left = 0;
    const from = this.#past ? this.#from : this.info?.oldest;
    this.#from = from;
    this.#past = true;
    this.#until = info.offset;
    this.#catchingUp = from !== undefined && from < info.offset;
    this.screen.hush(this.#catchingUp);
    this.told({ ...info, id: frame.terminal });
    this.screen.resize(info);
    this.#drivenBy(info.driver ?? null);
    if (!this.#catchingUp) this.#caughtUp();
  }

  /** All that was printed before this page joined is here. */
  #caughtUp() {
    this.#catchingUp = false;
    this.screen.hush(false);
    if ((this.info?.followers ?? 0) <= 1) this.#sized = true;
    this.fit();
    if (this.#redraw) this.#drawAnew();
  }

  async #drawAnew() {
    this.#redraw = false;
    try {
      await this.socket.ask({ type: "terminal.detach", terminal: this.id });
    } catch {
      return; // it has ended: nothing draws any more
    }
    this.#from = undefined;
    this.state = "away";
    await this.follow();
  }

  /** @param {any} frame */
  #replay({ bytes, cols, rows }) {
    this.#left = bytes;
    this.#from = undefined;
    this.#redraw = false;
    this.screen.replay();
    this.screen.resize({ cols, rows });
  }

  /** @param {Size} size */
  #resized({ cols, rows }) {
    Object.assign(/** @type {Info} */ (this.info), { cols, rows });
    if (!this.#catchingUp) this.#sized = cols === this.#asked.cols && rows === this.#asked.rows;
    this.screen.resize({ cols, rows });
  }

  /** @param {string | null} driver */
  #drivenBy(driver) {
    /** @type {Info} */ (this.info).driver = driver;
    if (this.driver === "me" || (driver && driver !== this.#before)) this.wanted = false; // who took over isn't waited for
    else if (this.wanted && this.driver === "nobody") this.drive(true).catch(() => {}); // another was faster: it has it
  }

  /** @param {any} frame */
  #gone({ code, reason }) {
    this.#coming = false;
    this.reason = inWords(code, reason);
    this.state = GONE.has(code) ? "gone" : "away";
  }

  /** @param {DataView<ArrayBuffer>} view a message after its terminal's number */
  output(view) {
    const place = view.getBigUint64(0);
    const bytes = new Uint8Array(view.buffer, view.byteOffset + 8);
    this.screen.write(bytes);
    if (!(place & REPLAY)) {
      this.#from = Number(place) + bytes.length;
      if (this.#catchingUp && this.#from >= this.#until) this.#caughtUp();
      return;
    }
    this.#left -= bytes.length;
    if (this.#left > 0) return;
    this.#from = Number(place & ~REPLAY);
    this.#caughtUp();
  }

  /** @param {Uint8Array} bytes */
  type(bytes) {
    if (!this.mayType) return;
    if (!this.#sized) this.fit(true);
    for (let at = 0; at < bytes.length; at += PIECE) {
      const piece = bytes.subarray(at, at + PIECE);
      const message = new Uint8Array(4 + piece.length);
      new DataView(message.buffer).setUint32(0, this.id);
      message.set(piece, 4);
      if (this.socket.sendBytes(message)) continue;
      this.unsent = true;
      this.changed();
      return;
    }
  }

  /** Makes the terminal as large as its place here, if it is this page that it has its size from. @param {boolean} [take] it is from now on */
  fit(take = false) {
    if (!this.mayType) return;
    if (take) this.#sized = true;
    const size = this.#sized ? this.screen.fits() : null;
    if (!size || (size.cols === this.info?.cols && size.rows === this.info.rows)) return;
    if (size.cols === this.#asked.cols && size.rows === this.#asked.rows && !take) return;
    this.#asked = size;
    this.socket.tell({ type: "terminal.resize", terminal: this.id, ...size });
  }

  /** Whether to be the only one who types. @param {boolean} yes @param {boolean} [take] also where another page is the only one */
  async drive(yes, take = false) {
    this.wanted = false;
    await this.socket.ask({ type: "terminal.drive", terminal: this.id, drive: yes, take });
  }
}
