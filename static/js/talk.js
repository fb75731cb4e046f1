// What the agent says and does that needs no output of its own: words, plans, errors, retries, what it forgets.

import { agentReason } from "./agent-words.js";
import { h, setText } from "./dom.js";
import { has, number, t, word } from "./i18n.js";
import { markdown } from "./markdown.js";
import { opensModels } from "./models.js";
import { mayCreate } from "./settings.js";

/** States of the agent that need no line where no reason is told. */
const EXPECTED = ["running", "user_confirmed", "user_rejected"];
const TOLD = ["error", "model_retry", "repository", "loop_detection", "user_rejected"];
const DONE = ["think", "finish", "reject", "condensation", "loop_recovery"];

/** Whether an event without a card is shown only to those who want to see all. @param {any} event */
export function isMinor({ action, observation, source, extras = {} }) {
  if (action === "message") return source === "environment";
  if (action) return !DONE.includes(action);
  if (observation === "agent_state_changed") return !agentReason(extras.reason ?? "") && EXPECTED.includes(extras.agent_state);
  if (observation === "phase_changed") return Boolean(extras.step && !extras.reason);
  if (observation === "plugin_changed") return extras.state !== "failed";
  if (observation === "recall") return !extras.repo_instructions && !extras.microagent_knowledge?.length;
  return !TOLD.includes(observation);
}

/** Errors that a key may put right. */
const KEYS = ["ERROR_LLM_AUTHENTICATION", "ERROR_LLM_NOT_CONFIGURED"];

/** Errors whose cause a person can do something about, by what follows the `$` of their id. @param {string} id */
const nameOf = (id) => id.split("$").at(-1) ?? "";

/** @param {string} title @param {Node | string} content @param {string} [className] */
function fold(title, content, className = "") {
  const body = typeof content === "string" ? h("pre", { className: "folded", tabIndex: 0 }, content) : content;
  return h("details", { className: `fold ${className}` }, h("summary", {}, title), body);
}

/** The agent's list of tasks. @param {any[]} tasks */
export function taskList(tasks) {
  return h("ul", { className: "tasks" }, ...tasks.slice(0, 200).map((task) => {
    const state = String(task?.status ?? "todo");
    return h("li", { data: { state } }, h("span", { className: "state" }, word("task", state)), h("span", {}, String(task?.title ?? "")),
      task?.notes ? h("span", { className: "muted small" }, String(task.notes)) : null);
  }));
}

/** What an error is, in the page's words or its own. @param {any} event */
function errorTitle({ content = "", message = "", extras = {} }) {
  const name = nameOf(extras.error_id ?? "");
  return name && has(`agent_error.${name}.what`) ? t(`agent_error.${name}.what`) : (content || message).slice(0, 200);
}

/** What the person can do, in the page's words; what was said, folded. @param {any} event @returns {(Node | string)[]} */
export function errorBody({ content = "", message = "", extras = {} }) {
  const name = nameOf(extras.error_id ?? "");
  const said = content || message;
  if (!name || !has(`agent_error.${name}.what`)) return [said];
  const remedy = t(`agent_error.${name}.remedy`);
  const keys = mayCreate && KEYS.includes(name) && h("button", { type: "button", data: { models: "" }, "aria-haspopup": "dialog" }, t("models.open"));
  if (keys) opensModels(keys);
  return [
    h("p", {}, errorTitle({ extras })),
    h("p", {}, h("strong", {}, t("fault.remedy")), " ", remedy),
    ...(keys ? [h("p", {}, keys)] : []),
    fold(t("talk.details"), said),
  ];
}

/** Counts down to the next try; the line says what it is then. @param {any} event @param {boolean} fresh */
function retry({ extras = {}, timestamp = "" }, fresh) {
  const { attempt = 1, most = 1, wait_ms = 0, code = "" } = extras;
  const line = h("span", {});
  const said = extras.detail ? h("details", { className: "fold" }, h("summary", {}, t("talk.details")), h("span", { className: "folded" }, extras.detail)) : null;
  const begun = fresh ? Date.now() : Date.parse(/Z|[+-]\d\d:\d\d$/.test(timestamp) ? timestamp : `${timestamp}Z`);
  const show = () => {
    const left = Math.ceil((begun + wait_ms - Date.now()) / 1000);
    const values = { reason: word("retry", code.replace("model.", "")), number: attempt, most };
    setText(line, left > 0 ? t("talk.retry_in", { ...values, count: left }) : t("talk.retry", values));
    if (left <= 0) clearInterval(timer);
  };
  const timer = setInterval(() => (line.isConnected || Date.now() < begun + 2000 ? show() : clearInterval(timer)), 500);
  show();
  return h("span", {}, line, said ? " " : null, said);
}

/** @param {any} extras @param {string} content what git said */
function repository({ url = "", branch, state = "", folder = "", commit = "", code = "" }, content) {
  const where = branch ? `${url} (${branch})` : url;
  const values = { where, folder: folder || "/", commit: commit.slice(0, 12), code };
  const line = has(`repository.${state}`) ? t(`repository.${state}`, values) : where;
  if (state !== "failed") return [line];
  const cause = content.trim();
  return [h("span", { className: "clone-failed" }, line, cause ? h("pre", { className: "cause" }, cause) : null, h("span", {}, t("repository.remedy")))];
}

/** @param {any} extras @param {string} content */
function recalled({ recall_type = "", repo_name = "", repo_instructions = "", microagent_knowledge = [] }, content) {
  const names = microagent_knowledge.map((/** @type {any} */ one) => (one.trigger ? `${one.name} (${one.trigger})` : one.name)).join(", ");
  const title = recall_type === "knowledge" ? t("talk.recalled_knowledge", { names: names || "–" }) : t("talk.recalled_workspace", { name: repo_name || "–" });
  const known = microagent_knowledge.map((/** @type {any} */ one) => `# ${one.name}\n${one.content}`).join("\n\n");
  const text = [repo_instructions, known].filter(Boolean).join("\n\n") || content;
  return text ? fold(title, text) : title;
}

/** @param {any} args */
function forgotten({ forgotten_event_ids, forgotten_events_start_id: from, forgotten_events_end_id: to, summary }) {
  const count = Array.isArray(forgotten_event_ids) ? forgotten_event_ids.length : from === null || from === undefined ? 0 : (to ?? from) - from + 1;
  const body = h("div", { className: "folded" }, h("p", { className: "muted" }, t("talk.nothing_lost"), summary ? ` ${t("talk.summary")}` : ""), summary ? markdown(String(summary)) : null);
  return fold(t("talk.condensed", { count }), body);
}

/**
 * What an event of the agent's looks like, if it isn't a card: what stands in its line.
 * @param {any} event @param {boolean} fresh whether it happened just now
 * @returns {{ kind: "agent" | "user" | "error" | "slim" | "thought", body: (Node | string)[], title?: string } | undefined}
 */
export function spoken(event, fresh) {
  const { action, observation, source, args = {}, extras = {}, content = "", message = "" } = event;
  if (action) return acted(action, source, args, message);
  // What the model did wrong is the model's to put right: people only see that it happened.
  if (observation === "error" && source === "agent") return { kind: "slim", body: [fold(errorTitle(event), content)] };
  if (observation === "error") return { kind: "error", body: errorBody(event) };
  if (observation === "model_retry") return { kind: "slim", body: [retry(event, fresh)] };
  if (observation === "repository") return { kind: "slim", body: repository(extras, content) };
  if (observation === "recall") return { kind: "slim", body: [recalled(extras, content)] };
  if (observation === "loop_detection") return { kind: "slim", body: [content] };
  if (observation === "null") return { kind: "slim", body: [t("talk.taken")] };
  if (observation === "user_rejected") return { kind: "slim", body: [t("talk.rejected")] };
  if (observation === "think" || observation === "condense") return { kind: "slim", body: [content] };
  return undefined;
}

/** @param {string} action @param {string} source @param {any} args @param {string} message @returns {ReturnType<typeof spoken>} */
function acted(action, source, args, message) {
  if (action === "message") {
    const text = args.content ?? message;
    if (source === "environment") return { kind: "slim", body: [text] };
    return { kind: source === "user" ? "user" : "agent", body: [source === "user" ? text : markdown(text), ...pictures(args.image_urls)] };
  }
  if (action === "think") return { kind: "thought", title: t("talk.thinks"), body: [markdown(args.thought ?? "")] };
  if (action === "finish" || action === "reject") {
    const said = args.final_thought || args.thought || message || t("event.finished");
    return { kind: "agent", title: t(action === "finish" ? "talk.finished" : "talk.gave_up"), body: [markdown(String(args.outputs?.reason ?? said))] };
  }
  if (action === "condensation") return { kind: "slim", body: [forgotten(args)] };
  if (action === "condensation_request") return { kind: "slim", body: [t("talk.condense_asked")] };
  if (action === "recall") return { kind: "slim", body: [t("talk.recalls", { query: String(args.query ?? "").slice(0, 80) })] };
  if (action === "system") return { kind: "slim", body: [fold(t("talk.system", { count: args.tools?.length ?? 0 }), args.content ?? "")] };
  if (action === "loop_recovery") return { kind: "slim", body: [t("talk.loop_recovery", { way: word("loop", String(args.option ?? 1)) })] };
  if (action === "change_agent_state") {
    const reason = args.thought ? ` ${t("talk.reason", { reason: args.thought })}` : "";
    return { kind: "slim", body: [`${t("talk.wants", { state: word("agent", args.agent_state ?? "") })}${reason}`] };
  }
  return undefined;
}

/** Images that came as bytes; nothing is fetched from elsewhere. @param {unknown} urls */
function pictures(urls) {
  const own = Array.isArray(urls) ? urls.filter((url) => /^data:image\/(png|jpeg|gif|webp);base64,/.test(String(url))) : [];
  return own.slice(0, 8).map((src) => h("img", { className: "shown", src, alt: t("event.image") }));
}

/** What an action is about to do, where its title doesn't say it. @param {any} event @returns {Node[]} */
export function workOf({ action, args = {} }) {
  const code = (/** @type {string} */ text, kind = "") => h("pre", { className: `work ${kind}`, tabIndex: 0 }, text);
  if (action === "run_ipython") return [code(args.code ?? "")];
  if (action === "browse_interactive") return [code(args.browser_actions ?? "")];
  if (action === "write") return [code(args.content ?? "", "new")];
  if (action === "call_tool_mcp") return [code(JSON.stringify(args.arguments ?? {}, null, 2))];
  if (action === "delegate") return [code(typeof args.inputs?.task === "string" ? args.inputs.task : JSON.stringify(args.inputs ?? {}, null, 2))];
  if (action === "task_tracking") return args.command === "plan" ? [taskList(args.task_list ?? [])] : [];
  if (action !== "edit") return [];
  const parts = [];
  if (args.old_str) parts.push(code(args.old_str, "old"));
  if (args.new_str || args.file_text || args.content) parts.push(code(args.new_str || args.file_text || args.content, "new"));
  return parts;
}

/** How risky the model and the rules say that it is. @param {any} args */
export function riskBadge({ security_risk: risk }) {
  if (risk !== 1 && risk !== 2) return null;
  return h("span", { className: `badge ${risk === 2 ? "fail" : "busy"}`, data: { risk: String(risk) } }, t(risk === 2 ? "talk.risk_high" : "talk.risk_medium"));
}

/** A number of tokens, as short as it may be. @param {number} count */
export const tokens = (count) => (count < 10_000 ? number(count) : `${number(Math.round(count / 1000))}k`);
