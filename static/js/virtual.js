// A long list of which only what is looked at is in the page: rows of any height, measured once they are there; what is read stays where it is.

import { h } from "./dom.js";

/**
 * One row. The list sets `index`, and `height` once it was measured (0: not yet).
 * @typedef {object} Row
 * @property {string} kind rows of one kind are about as tall as each other
 * @property {number} index
 * @property {number} height
 * @property {number} guess its height before any of its kind was measured
 * @property {() => HTMLElement} show its element, made where it has none
 * @property {() => void} leave its element is no longer in the page
 */

/** Up to so many rows all are in the page, as in any other list. */
export const SHORT = 400;
/** Pixels above and below what is seen. */
const OVER = 600;
/** How near to the end counts as there. */
const NEAR = 40;
/** More passes would not find a better place. */
const PASSES = 5;
/** The height that is taken for the list's where it isn't shown. */
const UNSEEN = 800;

/** Heights by number, and the sum of the first so many of them, each in a few steps (a Fenwick tree). */
export class Heights {
  length = 0;
  #each = new Float64Array(64);
  #tree = new Float64Array(65);

  /** @param {number} height */
  push(height) {
    if (this.length === this.#each.length) this.#grow();
    const at = this.length + 1;
    let sum = height;
    for (let step = 1; step < (at & -at); step <<= 1) sum += /** @type {number} */ (this.#tree[at - step]);
    this.#tree[at] = sum;
    this.#each[this.length] = height;
    this.length = at;
  }

  #grow() {
    const each = new Float64Array(this.#each.length * 2);
    const tree = new Float64Array(each.length + 1);
    each.set(this.#each);
    tree.set(this.#tree);
    this.#each = each;
    this.#tree = tree;
  }

  /** @param {number} index */
  get(index) {
    return this.#each[index] ?? 0;
  }

  /** @param {number} index @param {number} height */
  set(index, height) {
    const more = height - this.get(index);
    if (more === 0) return;
    this.#each[index] = height;
    for (let at = index + 1; at <= this.length; at += at & -at) this.#tree[at] = /** @type {number} */ (this.#tree[at]) + more;
  }

  /** Of the first `count`. @param {number} count */
  sum(count) {
    let sum = 0;
    for (let at = Math.min(count, this.length); at > 0; at -= at & -at) sum += /** @type {number} */ (this.#tree[at]);
    return sum;
  }

  /** Which one is there. @param {number} place */
  find(place) {
    let index = 0;
    let left = place;
    let step = 1;
    while (step * 2 <= this.length) step *= 2;
    for (; step > 0; step >>= 1) {
      const next = index + step;
      const sum = this.#tree[next] ?? 0;
      if (next <= this.length && sum <= left) {
        index = next;
        left -= sum;
      }
    }
    return Math.max(0, Math.min(index, this.length - 1));
  }
}

/** What rows of a kind measure in the mean. */
class Means {
  /** @type {Map<string, { sum: number, count: number }>} */
  #kinds = new Map();
  count = 0;

  /** @param {string} kind @param {number} height */
  note(kind, height) {
    if (height <= 0) return;
    const mean = this.#kinds.get(kind) ?? { sum: 0, count: 0 };
    mean.sum += height;
    mean.count += 1;
    this.count += 1;
    this.#kinds.set(kind, mean);
  }

  /** @param {Row} row */
  of({ kind, guess }) {
    const mean = this.#kinds.get(kind);
    return mean ? mean.sum / mean.count : guess;
  }
}

/** @typedef {{ scroll: HTMLElement, list: HTMLElement, resumes?: boolean, scrolled?: (atEnd: boolean) => void, placed?: (row: Row, element: HTMLElement) => void }} Parts */

export class VirtualList {
  /** @type {Row[]} */
  rows = [];
  /** Whether it stays at its end as it grows. */
  atEnd = true;
  #heights = new Heights();
  #means = new Means();
  #refineAt = 20;
  /** What is in the page, by number. @type {Map<number, { row: Row, element: HTMLElement }>} */
  #live = new Map();
  /** @type {WeakMap<Element, Row>} */
  #ofElement = new WeakMap();
  /** Kept in the page wherever one looks. @type {Set<Row>} */
  #pinned = new Set();
  /** Empty elements as tall as the rows that are left out. @type {Map<string, HTMLElement>} */
  #gaps = new Map();
  /** Which rows each of them is for. @type {{ gap: HTMLElement, from: number, to: number }[]} */
  #spans = [];
  #scheduled = 0;
  #lastTop = 0;
  /** What the rows above took or gave since the place was last set right. */
  #moved = 0;
  #resized;

  /** @param {Parts} parts `resumes`: scrolled to its end, it stays there; `scrolled`: it was, or may have been; `placed`: a row is in the page, at its `index` */
  constructor(parts) {
    this.parts = parts;
    const { scroll } = parts;
    scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#resized = new ResizeObserver((entries) => this.#remeasured(entries));
    const around = new ResizeObserver(() => {
      this.#stick();
      if (this.rows.length > SHORT) this.schedule();
    });
    around.observe(scroll);
    for (const child of scroll.children) around.observe(child);
  }

  /** Adds a row; it is seen after the next `render`. @param {Row} row */
  push(row) {
    row.index = this.rows.length;
    this.rows.push(row);
    this.#heights.push(row.height || this.#means.of(row));
  }

  /** Another list of rows; what is read stays where it is, or the next that is in both. @param {Row[]} rows */
  reset(rows) {
    const kept = this.atEnd ? null : this.#topmost();
    const before = this.rows;
    const from = kept?.row.index ?? 0;
    for (const { row, element } of this.#live.values()) this.#release(row, element);
    this.#live.clear();
    this.rows = rows;
    this.#heights = new Heights();
    rows.forEach((row, index) => {
      row.index = index;
      this.#heights.push(row.height || this.#means.of(row));
    });
    this.#place([]);
    const same = kept && before.find((row, index) => index >= from && rows[row.index] === row);
    if (same) this.#scrollTo(this.#top() + this.#heights.sum(same.index) + (same === kept?.row ? kept.inside : 0));
    this.#draw();
  }

  /** Puts a row in another's place. @param {Row} old @param {Row} row */
  replace(old, row) {
    const { index } = old;
    if (this.rows[index] !== old) return;
    const live = this.#live.get(index);
    if (live) this.#release(old, live.element);
    this.#live.delete(index);
    row.index = index;
    this.rows[index] = row;
    this.schedule();
  }

  /** @param {Row} row @param {boolean} yes */
  pin(row, yes) {
    if (yes) this.#pinned.add(row);
    else this.#pinned.delete(row);
    this.schedule();
  }

  /** The row that an element is in. @param {Node | null} node @returns {Row | undefined} */
  rowOf(node) {
    let at = node;
    while (at && at.parentNode !== this.parts.list) at = at.parentNode;
    return at instanceof Element ? this.#ofElement.get(at) : undefined;
  }

  /** Scrolls to a row: into the middle, or no further than it has to. @param {Row} row @param {"center" | "nearest"} [block] */
  reveal(row, block = "center") {
    const { scroll } = this.parts;
    this.atEnd = false;
    for (let pass = 0; pass < PASSES; pass += 1) {
      const top = this.#top() + this.#heights.sum(row.index);
      const size = this.#heights.get(row.index);
      const view = scroll.clientHeight;
      const now = scroll.scrollTop;
      let to = top - Math.max(0, (view - size) / 2);
      if (block === "nearest") to = top < now ? top : top + size > now + view ? top + size - view : now;
      to = Math.max(0, Math.min(to, scroll.scrollHeight - view));
      if (pass > 0 && Math.abs(to - now) < 1) break;
      this.#scrollTo(to);
      this.#draw();
    }
    this.#noteEnd();
  }

  toEnd() {
    this.atEnd = true;
    this.#draw();
  }

  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = requestAnimationFrame(() => this.render());
  }

  /** Puts into the page what belongs there now. */
  render() {
    if (this.atEnd && this.#seen) this.#noteEnd(); // that somebody scrolled may still be to be told
    this.#draw();
  }

  #draw() {
    cancelAnimationFrame(this.#scheduled);
    this.#scheduled = 0;
    for (let pass = 0; pass < PASSES; pass += 1) {
      const wanted = this.#wanted();
      if (pass > 0 && wanted.every((index) => this.#live.has(index))) break;
      this.#place(wanted);
      if (this.rows.length <= SHORT) break;
    }
    this.#stick();
    this.#refine();
  }

  /** Where the list begins within what is scrolled. */
  #top() {
    const { scroll, list } = this.parts;
    return list.getBoundingClientRect().top - scroll.getBoundingClientRect().top - scroll.clientTop + scroll.scrollTop;
  }

  /** The first row that is seen, and how much of it is above. */
  #topmost() {
    const place = this.parts.scroll.scrollTop - this.#top();
    const row = this.rows[this.#heights.find(Math.max(0, place))];
    return row ? { row, inside: place - this.#heights.sum(row.index) } : null;
  }

  /** The numbers of the rows that belong into the page, in order. */
  #wanted() {
    const count = this.rows.length;
    if (count <= SHORT) return Array.from({ length: count }, (_, index) => index);
    const { scroll } = this.parts;
    const view = scroll.clientHeight || UNSEEN;
    const total = this.#heights.sum(count);
    const place = this.atEnd ? total - view : Math.min(scroll.scrollTop - this.#top(), total - view);
    const to = this.#heights.find(Math.max(0, place + view + OVER));
    const from = Math.max(this.#heights.find(Math.max(0, place - OVER)), to - SHORT);
    const wanted = new Set(Array.from({ length: to - from + 1 }, (_, offset) => from + offset));
    for (const row of this.#kept()) wanted.add(row.index);
    return [...wanted].sort((a, b) => a - b);
  }

  /** What is pinned, has the focus, or is where a selection begins or ends. */
  #kept() {
    const kept = new Set([...this.#pinned].filter((row) => this.rows[row.index] === row));
    const selection = getSelection();
    const ends = selection && !selection.isCollapsed ? [selection.anchorNode, selection.focusNode] : [];
    for (const node of [document.activeElement, ...ends]) {
      const row = this.parts.list.contains(node) ? this.rowOf(node) : undefined;
      if (row) kept.add(row);
    }
    return kept;
  }

  /** Makes the list's elements those of these rows, with gaps where rows are left out. @param {number[]} wanted */
  #place(wanted) {
    const now = new Set(wanted);
    for (const [index, { row, element }] of this.#live) {
      if (now.has(index)) continue;
      this.#live.delete(index);
      this.#release(row, element);
    }
    const before = this.parts.scroll.scrollTop;
    this.#spans = [];
    /** @type {HTMLElement[]} */
    const nodes = [];
    /** @type {[Row, HTMLElement][]} */
    const fresh = [];
    const leaveOut = (/** @type {number} */ from, /** @type {number} */ to) => {
      if (from >= to) return;
      const gap = this.#gap(from === 0 ? "first" : to === this.rows.length ? "last" : `after ${from}`);
      this.#spans.push({ gap, from, to });
      nodes.push(gap);
    };
    let next = 0;
    for (const index of wanted) {
      leaveOut(next, index);
      nodes.push(this.#show(index, fresh));
      next = index + 1;
    }
    leaveOut(next, this.rows.length);
    this.#putIn(nodes);
    this.#fill(); // before anything is measured: a list that is too short for a moment would be scrolled
    this.#note(this.#seen ? fresh.map(([row, element]) => [row, extent(element)]) : [], before);
    this.#fill();
    this.#carry(before);
  }

  /** @param {HTMLElement[]} nodes */
  #putIn(nodes) {
    const used = new Set(nodes);
    for (const [name, gap] of this.#gaps) {
      if (used.has(gap)) continue;
      gap.remove();
      this.#gaps.delete(name);
    }
    let at = this.parts.list.firstElementChild;
    for (const node of nodes) {
      if (node === at) at = at.nextElementSibling;
      else this.parts.list.insertBefore(node, at);
    }
  }

  /** @param {number} index @param {[Row, HTMLElement][]} fresh takes those that weren't in the page */
  #show(index, fresh) {
    const there = this.#live.get(index);
    const row = there?.row ?? /** @type {Row} */ (this.rows[index]);
    const element = there?.element ?? row.show();
    if (!there) {
      this.#live.set(index, { row, element });
      this.#ofElement.set(element, row);
      this.#resized.observe(element);
      fresh.push([row, element]);
    }
    this.parts.placed?.(row, element);
    return element;
  }

  /** @param {Row} row @param {HTMLElement} element */
  #release(row, element) {
    this.#resized.unobserve(element);
    this.#ofElement.delete(element);
    element.remove();
    row.leave();
  }

  /** @param {string} name */
  #gap(name) {
    const gap = this.#gaps.get(name) ?? h(this.parts.list instanceof HTMLOListElement ? "li" : "div", { className: "gap-rows", role: "presentation" });
    this.#gaps.set(name, gap);
    return gap;
  }

  /** Makes the gaps as tall as what they stand for. */
  #fill() {
    for (const { gap, from, to } of this.#spans) {
      const height = `${(this.#heights.sum(to) - this.#heights.sum(from)).toFixed(2)}px`;
      if (gap.style.height !== height) gap.style.height = height;
    }
  }

  /** Whether the list has a size now: it may be in a pane that isn't shown. */
  get #seen() {
    return this.parts.scroll.clientHeight > 0;
  }

  /** Heights that are known now; what is above counts for the place of what is read. @param {[Row, number][]} sizes @param {number} scrolled @param {boolean} [measured] */
  #note(sizes, scrolled, measured = true) {
    if (sizes.length === 0) return;
    const first = this.#heights.find(Math.max(0, scrolled - this.#top()));
    const before = this.#heights.sum(first);
    for (const [row, height] of sizes) {
      if (this.rows[row.index] !== row) continue;
      this.#heights.set(row.index, height);
      if (!measured) continue;
      if (row.height === 0) this.#means.note(row.kind, height);
      row.height = height;
    }
    this.#moved += this.#heights.sum(first) - before;
  }

  /** Sets the place right. @param {number} scrolled where it was */
  #carry(scrolled) {
    const moved = this.#moved;
    this.#moved = 0;
    if (!this.atEnd && Math.abs(moved) >= 0.5) this.#scrollTo(scrolled + moved);
  }

  /** Once more rows were measured, those that weren't are guessed better. */
  #refine() {
    if (this.#means.count < this.#refineAt || this.rows.length <= SHORT) return;
    this.#refineAt = this.#means.count * 8;
    const unknown = this.rows.filter((row) => row.height === 0 && !this.#live.has(row.index));
    const { scrollTop } = this.parts.scroll;
    this.#note(unknown.map((row) => [row, this.#means.of(row)]), scrollTop, false);
    this.#fill();
    this.#carry(scrollTop);
    this.schedule();
  }

  /** @param {ResizeObserverEntry[]} entries */
  #remeasured(entries) {
    if (!this.#seen) return;
    /** @type {[Row, number][]} */
    const sizes = [];
    for (const { target } of entries) {
      const row = this.#ofElement.get(target);
      const height = extent(/** @type {HTMLElement} */ (target));
      if (row && Math.abs(height - this.#heights.get(row.index)) >= 0.5) sizes.push([row, height]);
    }
    if (sizes.length === 0) return;
    const { scrollTop } = this.parts.scroll;
    this.#note(sizes, scrollTop);
    this.#carry(scrollTop);
    this.#stick();
    this.schedule();
  }

  #scrolled() {
    this.#noteEnd();
    if (this.rows.length > SHORT) this.schedule();
    this.parts.scrolled?.(this.atEnd);
  }

  /** A person leaves the end by scrolling up, not by the list's growing. */
  #noteEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.parts.scroll;
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.atEnd ||= this.parts.resumes !== false;
    else if (scrollTop < this.#lastTop - 1) this.atEnd = false;
    this.#lastTop = scrollTop;
  }

  /** @param {number} top */
  #scrollTo(top) {
    const { scroll } = this.parts;
    scroll.scrollTop = top;
    this.#lastTop = scroll.scrollTop;
  }

  #stick() {
    if (this.atEnd) this.#scrollTo(this.parts.scroll.scrollHeight);
    this.parts.scrolled?.(this.atEnd);
  }
}

/** What an element takes of the list's height. @param {HTMLElement} element */
function extent(element) {
  const { height } = element.getBoundingClientRect();
  return height === 0 ? 0 : height + parseFloat(getComputedStyle(element).marginBottom || "0");
}
