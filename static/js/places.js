// Where an event can be looked at, and what can be done with it again: the parts of the page that know it find each other here.

/**
 * @typedef {object} Places
 * @property {(id: number) => boolean} [card] shows an event in the conversation; false: it isn't there
 * @property {(id: number) => void} [row] shows an event in the timeline
 * @property {(event: any) => void} [again] does an action once more
 * @property {(event: any) => void} [edit] puts an action into the box, to be changed
 */
/** @type {Places} */
export const places = {};

/** Characters of one string of an event that are shown; an image has millions. */
const SHOWN = 20_000;

/** An event as JSON for people to read. @param {any} event */
export function pretty(event) {
  const cut = (/** @type {string} */ _, /** @type {any} */ value) =>
    typeof value === "string" && value.length > SHOWN ? `${value.slice(0, SHOWN)}… (${value.length})` : value;
  return JSON.stringify(event, cut, 2);
}

/** The address of an event in this page's session. @param {number} id */
export const linkTo = (id) => `${location.origin}${location.pathname}?pane=timeline#event-${id}`;

/** The event that the address names, or −1. */
export function linked() {
  const found = /^#event-(\d{1,15})$/.exec(location.hash);
  return found ? Number(found[1]) : -1;
}

/** Opens an event in the timeline, which is loaded where it wasn't yet. @param {number} id */
export function openInTimeline(id) {
  history.replaceState(history.state, "", `#event-${id}`);
  document.getElementById("tab-timeline")?.click();
  places.row?.(id);
}
