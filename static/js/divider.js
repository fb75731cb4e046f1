// A line between two parts of the page that is moved by mouse, finger and arrow keys. What it moves, and where it is remembered, its owner knows.

/**
 * @typedef {object} Between
 * @property {() => Element | null | undefined} before the part left of it, or above
 * @property {() => Element | null | undefined} after
 * @property {(percent: number, across: boolean) => void} set the first part's share; `across`: the parts stand side by side
 * @property {(across: boolean) => void} reset back to what is usual
 * @property {number} [least] percent
 * @property {number} [most]
 */

const STEP = 2;

export class Divider {
  /** @param {HTMLElement} line with its label @param {Between} between */
  constructor(line, between) {
    this.line = line;
    this.between = between;
    this.least = between.least ?? 15;
    this.most = between.most ?? 85;
    const fixed = { role: "separator", "aria-orientation": "vertical", "aria-valuemin": this.least, "aria-valuemax": this.most, "aria-valuenow": 50 };
    for (const [name, value] of Object.entries(fixed)) line.setAttribute(name, String(value));
    line.classList.add("divider");
    line.tabIndex = 0;
    line.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      line.focus();
      line.setPointerCapture(event.pointerId);
      line.classList.add("moving");
    });
    line.addEventListener("pointermove", (event) => line.classList.contains("moving") && this.#follow(event));
    for (const end of ["pointerup", "pointercancel"]) line.addEventListener(end, () => line.classList.remove("moving"));
    line.addEventListener("dblclick", () => {
      between.reset(this.#measure()?.across ?? true);
      this.refresh();
    });
    line.addEventListener("keydown", (event) => this.#key(event));
    if (line.parentElement) new ResizeObserver(() => this.refresh()).observe(line.parentElement);
  }

  /** Which way the parts stand, from where to where they go, and the first one's share; null: not both are seen. */
  #measure() {
    const [before, after] = [this.between.before()?.getBoundingClientRect(), this.between.after()?.getBoundingClientRect()];
    if (!before?.width || !before.height || !after?.width || !after.height) return null;
    const across = after.left >= before.right - 1;
    const [from, to] = across ? [before.left, after.right] : [before.top, after.bottom];
    return { across, from, length: to - from, share: ((across ? before.width : before.height) / (to - from)) * 100 };
  }

  /** Says how it stands, whoever moved it. */
  refresh() {
    const now = this.#measure();
    if (!now) return;
    this.line.setAttribute("aria-orientation", now.across ? "vertical" : "horizontal");
    this.line.setAttribute("aria-valuenow", String(Math.round(Math.min(this.most, Math.max(this.least, now.share)))));
  }

  /** @param {number} percent @param {boolean} across */
  #set(percent, across) {
    this.between.set(Math.min(this.most, Math.max(this.least, Math.round(percent * 10) / 10)), across);
    this.refresh();
  }

  /** @param {PointerEvent} event */
  #follow(event) {
    const now = this.#measure();
    if (now) this.#set((((now.across ? event.clientX : event.clientY) - now.from) / now.length) * 100, now.across);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const now = this.#measure();
    const by = { ArrowLeft: -STEP, ArrowUp: -STEP, ArrowRight: STEP, ArrowDown: STEP, Home: -100, End: 100 }[event.key];
    if (by === undefined || !now) return;
    event.preventDefault();
    this.#set(now.share + by, now.across);
  }
}
