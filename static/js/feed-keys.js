// The keys of a feed: by pages where one reads, from one article to the next where one is within.

/** A page, less what one wants to see again. */
const PAGE = 0.9;

/**
 * @param {HTMLElement} scroll @param {import("./virtual.js").VirtualList} list @param {() => void} toEnd
 */
export function feedKeys(scroll, list, toEnd) {
  scroll.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (/^(input|textarea|select|pre)$/i.test(target.tagName)) return; // what has these keys for itself
    const within = target.matches(":focus-visible") ? list.rowOf(target) : undefined; // a click leads nobody into an article
    if (event.key === "Home") {
      const [first] = list.rows;
      if (first) list.reveal(first, "nearest");
      scroll.scrollTop = 0;
      scroll.focus({ preventScroll: true });
    } else if (event.key === "End") {
      scroll.focus({ preventScroll: true });
      toEnd();
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      const step = event.key === "PageDown" ? 1 : -1;
      if (within) go(list, within.index + step, step);
      else scroll.scrollTop += step * scroll.clientHeight * PAGE;
    } else return;
    event.preventDefault();
  });
}

/** Brings the focus to a row; those that aren't shown are passed over. @param {import("./virtual.js").VirtualList} list @param {number} from @param {number} step */
function go(list, from, step) {
  for (let index = from; index >= 0 && index < list.rows.length; index += step) {
    const row = /** @type {import("./virtual.js").Row} */ (list.rows[index]);
    const element = row.show();
    if (element.isConnected && element.offsetHeight === 0) continue;
    list.reveal(row, "nearest");
    element.focus({ preventScroll: true });
    return;
  }
}
