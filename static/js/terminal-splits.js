// The lines between terminals that stand beside each other: each moves the two at its sides.

import { Divider } from "./divider.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./terminal-tab.js").Tab} Tab */

export class Splits {
  /** @type {Divider[]} */
  #lines = [];

  /** @param {HTMLElement} panels @param {number} most terminals @param {() => Tab[]} shown @param {() => void} moved */
  constructor(panels, most, shown, moved) {
    this.shown = shown;
    for (let at = 0; at < most - 1; at += 1) {
      const line = h("div", { className: "term-split", hidden: true, "aria-label": t("terminal.divider") });
      line.style.order = String(2 * at + 1);
      panels.append(line);
      const pair = () => /** @type {[Tab?, Tab?]} */ (shown().slice(at, at + 2));
      const share = (/** @type {number} */ percent) => {
        const [first, second] = pair();
        if (!first || !second) return;
        const sum = first.grow + second.grow;
        first.setGrow((sum * percent) / 100);
        second.setGrow(sum - first.grow);
        moved();
      };
      this.#lines.push(new Divider(line, { before: () => pair()[0]?.panel, after: () => pair()[1]?.panel, set: share, reset: () => share(50) }));
    }
  }

  /** Others are shown. */
  place() {
    this.#lines.forEach((divider, at) => {
      divider.line.hidden = at + 1 >= this.shown().length;
      divider.refresh();
    });
  }
}
