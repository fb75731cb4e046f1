// What one event looks like. A card belongs to an action; its observation is put into it later.

import { sessionPath } from "./api.js";
import { phaseText, reasonText } from "./badges.js";
import { agentReason } from "./agent-words.js";
import { h, setText } from "./dom.js";
import { clock, dateTime, parseTime, t, word } from "./i18n.js";
import { markdown } from "./markdown.js";
import { openInTimeline, pretty } from "./places.js";
import { errorBody, isMinor, riskBadge, spoken, taskList, workOf } from "./talk.js";
import { TermText, showOutput } from "./term.js";

const encoder = new TextEncoder();

/** @param {any} event */
function time(event) {
  const when = parseTime(event.timestamp ?? "");
  return h("time", { dateTime: event.timestamp ?? "", title: dateTime(when) }, clock(when));
}

/** The event as it came, made into text only when somebody looks. @param {any} event */
function raw(event) {
  const details = h("details", { className: "raw" }, h("summary", { "aria-label": `#${event.id} ${t("event.raw")}` }, `#${event.id}`));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const link = h("button", { type: "button", className: "quiet", on: { click: () => openInTimeline(event.id) } }, t("event.in_timeline"));
    details.append(h("pre", { tabIndex: 0 }, pretty(event)), link);
  });
  return details;
}

/** @param {any} event */
const who = (event) => word("event", event.source ?? "environment");

/** @param {any} event @param {string} className @param {...import("./dom.js").Child} children */
function item(event, className, ...children) {
  return h("article", { className, data: { eventId: String(event.id) } }, ...children);
}

/** A line for what needs no card. @param {any} event @param {string | (Node | string)[]} text @param {boolean} [fail] */
function slim(event, text, fail = false) {
  const parts = typeof text === "string" ? [text] : text;
  return item(event, `slim${isMinor(event) ? " minor" : ""}${fail ? " fail" : ""}`, time(event), h("span", { className: "what" }, ...parts), raw(event));
}

/** What a person did can be done again, as it was or changed; the sheet shows it to those who may. @param {any} event */
function again({ source, action, args = {} }) {
  if (source !== "user" || !["message", "run"].includes(action) || args.is_input) return null;
  const button = (/** @type {string} */ act) => h("button", { type: "button", className: "quiet", data: { again: act } }, t(`event.${act}`));
  return h("span", { className: "again" }, button("again"), button("edit_again"));
}

/** @param {any} event @param {string} kind @param {(Node | string)[]} body @param {string} [title] */
function message(event, kind, body, title) {
  const name = kind === "error" ? t("event.error") : who(event);
  const line = h("div", { className: "line" }, h("strong", {}, name), title ? h("span", {}, title) : null, time(event), h("span", { className: "grow" }), again(event), raw(event));
  return item(event, `msg ${kind}`, line, h("div", { className: "body" }, ...body));
}

/** What is said of an event that has no card. @param {any} event @param {boolean} fresh whether it happened just now @returns {HTMLElement} */
export function plain(event, fresh) {
  const { action, observation, extras = {}, content = "" } = event;
  if (observation === "agent_state_changed") {
    const line = t("event.agent_state", { state: word("agent", extras.agent_state) });
    const reason = agentReason(extras.reason ?? "");
    return slim(event, reason ? `${line} · ${reason}` : line, extras.agent_state === "error");
  }
  if (observation === "phase_changed") return slim(event, phaseLine(extras), extras.phase === "failed");
  if (observation === "plugin_changed") {
    const line = t("event.plugin", { name: extras.name ?? "", state: word("plugin_state", extras.state) });
    return slim(event, extras.detail && extras.state === "failed" ? `${line} ${extras.detail}` : line, extras.state === "failed");
  }
  const said = spoken(event, fresh);
  if (said?.kind === "slim") return slim(event, said.body, observation === "repository" && extras.state === "failed");
  if (said) return message(event, said.kind, said.body, said.title);
  const name = action ?? observation ?? "?";
  const text = content || event.message || "";
  return slim(event, text ? `${name}: ${text.slice(0, 300)}` : name);
}

/** @param {any} extras */
const phaseLine = (extras) => [t("event.phase", { phase: phaseText(extras) }), extras.fault?.cause, reasonText(extras)].filter(Boolean).join(" · ");

/** Makes the line of a step that goes on say its newest event. @param {HTMLElement} element @param {any} event */
export function retell(element, event) {
  element.dataset.eventId = String(event.id);
  setText(/** @type {HTMLElement} */ (element.querySelector(".what")), phaseLine(event.extras));
  element.querySelector("time")?.replaceWith(time(event));
  const old = /** @type {HTMLDetailsElement} */ (element.querySelector(".raw"));
  const looking = old.open || old.contains(document.activeElement); // nothing is taken from under a reader
  if (!looking) old.replaceWith(raw(event));
}

/** Actions with a card of their own, apart from `run`. @type {Record<string, (args: any) => string>} */
export const TITLES = {
  read: (args) => t("event.read", { path: args.path ?? "" }),
  write: (args) => t("event.write", { path: args.path ?? "" }),
  edit: (args) => t(args.command === "view" ? "event.read" : args.command === "create" ? "event.write" : "event.edit", { path: args.path ?? "" }),
  browse: (args) => t("event.browse", { url: args.url ?? "" }),
  browse_interactive: (args) => t("event.browse", { url: (args.browser_actions ?? "").slice(0, 200) }),
  run_ipython: () => t("event.ipython"),
  call_tool_mcp: (args) => t("talk.mcp", { name: args.name ?? "" }),
  delegate: (args) => t("talk.delegates", { agent: args.agent ?? "" }),
  task_tracking: (args) => t(args.command === "plan" ? "talk.plans" : "talk.looks_at_plan"),
};

/** Cards that are open from the beginning. */
const OPEN = ["run", "task_tracking", "delegate"];

/** What an action with a card is called: a command, or words. @param {any} event @returns {string} */
export const titleOf = ({ action, args = {} }) => (action === "run" ? (args.command ?? "") : (TITLES[action]?.(args) ?? action));

/** The exit code of a run observation, in both of its forms. @param {any} event @returns {number | null} */
export function exitCode({ extras = {} }) {
  return extras.metadata?.exit_code ?? extras.exit_code ?? null;
}

/** The end that the badge tells of already. */
const PLAIN_END = /^\s*\[The command completed with exit code -?\d+\.\]\s*$/;
/** Images that a cell may show: their bytes, and nothing from elsewhere. */
const IMAGE = /^data:image\/(png|jpeg|gif|webp|svg\+xml);base64,/;
/** Bytes at the very end of an output that its observation goes without. */
const LINE_END = 2;

/** An action and what comes of it. */
export class Card {
  /** @param {any} event @param {string} session */
  constructor(event, session) {
    this.event = event;
    this.session = session;
    const args = event.args ?? {};
    this.isRun = event.action === "run";
    this.isInput = this.isRun && Boolean(args.is_input);
    this.command = titleOf(event);
    this.badge = h("span", { className: "badge busy", data: { exit: "" } }, t("event.running"));
    this.out = h("pre", { className: "out", tabIndex: 0, "aria-label": t("event.output", { command: this.command.slice(0, 80) }) });
    this.term = new TermText(this.out);
    this.foot = h("div", { className: "tail" }, h("span", { className: "by" }, who(event)), time(event), raw(event), again(event));
    const summary = h("summary", {}, h("span", { className: "cmd" }, this.isInput ? `${t("event.input")} ⌨ ${this.command || "⏎"}` : this.command), this.badge);
    const risk = riskBadge(args);
    if (risk) summary.insertBefore(risk, this.badge);
    const edited = event.tool_call_metadata?.confirmation?.edited;
    if (Array.isArray(edited)) summary.insertBefore(h("span", { className: "badge", data: { edited: edited.join(" ") }, title: t("talk.edited_title") }, t("talk.edited")), this.badge);
    this.details = h("details", { open: OPEN.includes(event.action) }, summary);
    const work = workOf(event);
    if (event.source === "agent" && work.length > 0 && this.asks) this.details.open = true;
    this.work = h("div", { className: "works" }, ...work);
    if (work.length > 0) this.details.append(this.work);
    this.details.append(this.out, this.foot);
    const thought = args.thought && event.source === "agent" ? markdown(args.thought, "md thought") : null;
    this.element = item(event, `${this.isRun ? "runcard" : "act"}${args.hidden ? " minor" : ""}${event.source === "agent" ? " of-agent" : ""}`, thought, this.details);
    this.element.dataset.state = "running";
    if (this.asks) this.#await();
    this.end = 0;
    this.seq = -1;
    this.connection = 0;
    this.lacking = false;
  }

  /** Whether a person has to agree first. */
  get asks() {
    return this.event.args?.confirmation_state === "awaiting_confirmation";
  }

  #await() {
    this.element.dataset.state = "asks";
    this.badge.className = "badge busy";
    this.badge.textContent = t("talk.asks");
  }

  /** Somebody decided: the action that comes takes this one's place. */
  decided() {
    this.element.dataset.state = "done";
    this.element.classList.add("minor");
    this.badge.className = "badge";
    this.badge.textContent = t("talk.decided");
  }

  /** Output as it comes; what was seen before a reconnect is not shown again. @param {any} frame @param {number} connection */
  partial({ text, offset, skipped = 0, seq }, connection) {
    const size = encoder.encode(text).length;
    let fresh = text;
    if (this.connection === connection) {
      if (seq <= this.seq) return;
      if (skipped > 0) this.#gap(skipped);
    } else if (offset < this.end) {
      if (offset + size <= this.end) fresh = "";
      else fresh = new TextDecoder().decode(encoder.encode(text).slice(this.end - offset));
    } else if (offset > this.end) {
      this.#gap(offset - this.end);
    }
    this.connection = connection;
    this.seq = seq;
    this.end = Math.max(this.end, offset + size);
    if (fresh) this.term.push(fresh);
  }

  /** @param {number} count */
  #gap(count) {
    this.lacking = true;
    this.term.gap(t("event.bytes_skipped", { count }));
  }

  /** The observation replaces what was streamed. @param {any} event @param {boolean} [told] its output stands in the card of the command already */
  finish(event, told = false) {
    const content = told ? "" : (event.content ?? "");
    const cut = showOutput(this.out, content, t("event.middle_cut"));
    const meta = event.extras?.metadata ?? {};
    const code = exitCode(event);
    const line = h("span", { className: "result", data: { eventId: String(event.id) } });
    if (this.isRun && event.observation === "run") {
      const state = code === 0 ? "ok" : code === -1 ? "busy" : "fail";
      if (code === -1) this.#goesOn();
      this.badge.className = `badge ${state}`;
      this.badge.textContent = code === -1 ? t("event.still_running") : t("event.exit", { code: String(code) });
      this.badge.dataset.exit = String(code);
      if (this.isInput) this.#wasInput(event, line);
      else if (!content && code !== -1) line.append(h("span", {}, t("event.no_output")));
      if (meta.suffix && !this.isInput && !PLAIN_END.test(meta.suffix)) line.append(h("span", { className: "suffix" }, meta.suffix.trim()));
      const bytes = encoder.encode(content).length;
      if (cut || (!this.isInput && (event.extras?.total_bytes ?? bytes) > bytes + LINE_END)) line.append(this.#whole());
    } else {
      const refused = event.observation === "user_rejected";
      const bad = event.observation === "error" || refused;
      this.badge.className = `badge ${bad ? "fail" : "ok"}`;
      this.badge.textContent = refused ? t("talk.rejected") : bad ? t("event.error") : "✓";
      this.badge.dataset.outcome = refused ? "rejected" : bad ? "error" : "ok";
      if (event.observation === "error" && event.extras?.error_id) this.out.replaceChildren(...errorBody(event));
      if (event.observation === "task_tracking") this.#tasks(event.extras?.task_list ?? []);
      if (bad) this.details.open = true;
      if (event.observation === "run_ipython") this.#cell(event, line, cut);
    }
    line.append(time(event), raw(event));
    this.foot.append(line);
    this.element.dataset.state = "done";
  }

  /** Whether what was typed was read is said, not how the command ended, which its own card says. @param {any} event @param {HTMLElement} line */
  #wasInput({ extras }, line) {
    const unread = extras?.unread_lines > 0;
    this.badge.className = unread ? "badge fail" : "badge";
    this.badge.textContent = t(unread ? "event.unread" : "event.typed");
    if (!unread) return;
    line.append(h("span", { className: "suffix" }, t("event.unread_why")));
    if (this.event.source === "user") line.append(h("button", { type: "button", className: "quiet", data: { again: "again" } }, t("event.run_now")));
  }

  /** What it prints from now on comes after what was observed. */
  #goesOn() {
    const more = h("span");
    this.term = new TermText(more);
    this.out.append(more);
  }

  /** The list stands in the place of its words. @param {any[]} tasks */
  #tasks(tasks) {
    this.out.replaceChildren();
    this.work.replaceChildren(taskList(tasks));
    if (!this.work.isConnected) this.details.insertBefore(this.work, this.out);
  }

  /** What a cell shows beside its text. @param {any} event @param {HTMLElement} line @param {boolean} cut */
  #cell(event, line, cut) {
    this.details.open = true;
    const images = (event.extras?.image_urls ?? []).filter((/** @type {unknown} */ url) => IMAGE.test(String(url)));
    for (const src of images) this.details.insertBefore(h("img", { className: "shown", src, alt: t("event.image") }), this.foot);
    if (cut) line.append(this.#whole());
  }

  /** The session ended under it. */
  orphan() {
    if (this.element.dataset.state !== "running") return;
    this.element.dataset.state = "done";
    this.badge.className = "badge";
    this.badge.textContent = t("event.no_result");
  }

  #whole() {
    const href = `${sessionPath(this.session)}/events/${this.event.id}/output`;
    return h("a", { href, target: "_blank", rel: "noopener" }, t("event.whole_output"));
  }
}
