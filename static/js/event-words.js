// One line about any event, for lists of them.

import { exitCode, titleOf } from "./cards.js";
import { phaseText } from "./badges.js";
import { t, word } from "./i18n.js";
import { plainText } from "./log-lines.js";

const LONGEST = 300;

/** What an event is called: its action or its observation. @param {any} event @returns {string} */
export const kindOf = ({ action, observation }) => action ?? observation ?? "?";

/** @param {any} event @returns {unknown} */
function acted(event) {
  const { action, args = {}, message } = event;
  if (action === "message") return args.content || (args.image_urls?.length ? t("attach.count", { count: args.image_urls.length }) : message);
  if (action === "think") return args.thought;
  if (action === "finish" || action === "reject") return args.final_thought || args.outputs?.reason || args.thought || message;
  if (action === "change_agent_state") return word("agent", args.agent_state ?? "");
  if (action === "run_ipython") return args.code;
  if (action === "call_tool_mcp") return `${args.name ?? ""} ${JSON.stringify(args.arguments ?? {})}`;
  return titleOf(event) === action ? message : titleOf(event);
}

/** @param {any} event @returns {unknown} */
function observed(event) {
  const { observation, content, extras = {}, message } = event;
  if (observation === "run") return `${t("event.exit", { code: String(exitCode(event) ?? "?") })}${content ? ` · ${content}` : ""}`;
  if (observation === "agent_state_changed") return [word("agent", extras.agent_state ?? ""), extras.reason].filter(Boolean).join(" · ");
  if (observation === "phase_changed") return [phaseText(extras), extras.fault?.cause].filter(Boolean).join(" · ");
  if (observation === "plugin_changed") return t("event.plugin", { name: extras.name ?? "", state: word("plugin_state", extras.state) });
  return content || message || (Object.keys(extras).length > 0 ? JSON.stringify(extras) : "");
}

/** What happened, in one line. @param {any} event @returns {string} */
export function summaryOf(event) {
  const text = String((event.action ? acted(event) : observed(event)) ?? "");
  return plainText(text.slice(0, LONGEST * 4)).replace(/\s+/g, " ").trim().slice(0, LONGEST);
}
