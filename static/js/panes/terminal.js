// The pane of terminals: loads what shows them, and makes the pane.

import { library, sheet } from "../dom.js";
import { TerminalPane } from "../terminal-pane.js";
import { allowStyles } from "../terminal-policy.js";

/** @param {HTMLElement} host @param {import("../panes.js").Context} context @returns {Promise<import("../panes.js").Pane>} */
export default async function open(host, context) {
  const [emulator] = await Promise.all([library("terminal"), sheet("css/terminal.css")]);
  if (emulator) {
    allowStyles();
    await sheet("lib/terminal.css");
  }
  return new TerminalPane(host, context, emulator);
}
