// The page of one session: joins its stream and puts the panes together.

import { AgentBar } from "./agent.js";
import { AgentPanel } from "./agent-panel.js";
import { Around } from "./around.js";
import { call, get, post, sessionPath } from "./api.js";
import { reasonText, showAgent, showPhase, stoppable, titleOf } from "./badges.js";
import { Composer } from "./composer.js";
import { complain, confirmDelete, confirmStop, notice, whileBusy } from "./dialog.js";
import { $, setText } from "./dom.js";
import { EventList } from "./events.js";
import { Files } from "./files.js";
import { Panes } from "./panes.js";
import { parseTime, said, t, word } from "./i18n.js";
import { mayWrite } from "./settings.js";
import { Pending, SessionSocket } from "./socket.js";
import { Code } from "./plugins.js";
import { StartPanel } from "./start.js";

const root = /** @type {HTMLElement} */ ($("session"));
const id = root.dataset.session ?? "";
let title = /** @type {HTMLElement} */ ($("title")).textContent ?? "";
let role = "";
/** @type {import("./badges.js").PhaseView} */
let view = { phase: "" };
let helloHead = -1;
let joined = false;
/** Whether the session is deleted, or closed to whoever looks at it. */
let over = false;
/** @type {any[]} every event, in order */
const all = [];
const start = new StartPanel();
const code = new Code(id);

function storage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

const events = new EventList(
  { list: $("events"), scroll: $("scroll"), toEnd: $("to-end"), count: $("event-count"), quiet: $("quiet") },
  id,
  {
    running: (yes) => composer.setRunning(yes),
    event: (event) => seen(event),
    settled() {
      bar.show(bar.story.state !== "" && socket.cursor.last > helloHead);
      agentShown();
      root.setAttribute("data-settled", String(socket.cursor.last));
    },
  },
);

const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${sessionPath(id)}/ws`;
const socket = new SessionSocket(address, new Pending(storage(), `staithe.pending.${id}`), {
  hello(hello) {
    events.connection += 1;
    if (!joined) events.knownHead = hello.head;
    joined = true;
    helloHead = hello.head;
    role = hello.role;
    setText($("role"), t("role.you_are", { role: word("role", role) }));
    show(hello);
    bar.joined(hello, canWrite(), isUp());
    agentShown();
    panel.refresh();
    files.joined(canWrite());
    panes.each((pane) => pane.joined?.());
    around.joined();
    refreshTitle();
  },
  event: (event) => events.push(event),
  binary: (bytes) => panes.each((pane) => pane.binary?.(bytes)),
  frame(frame) {
    panes.each((pane) => pane.frame?.(frame));
    around.frame(frame);
    if (frame.type === "partial") events.pushPartial(frame);
    else if (frame.type === "files") files.told(frame);
    else if (frame.type === "expired") events.note(t("session.expired", { oldest: frame.oldest }));
    else if (frame.type === "draining") notice(t("session.draining"));
  },
  state(state, seconds) {
    $("connection").dataset.state = state;
    const spoken = state === "reconnecting" ? t("connection.reconnecting", { count: seconds }) : t(`connection.${state}`);
    setText($("connection-text"), spoken);
    bar.setLive(socket.live);
    if (over) setText($("connection-text"), t("connection.ended"));
    if (state !== "connecting") showButtons();
  },
  answer: (command, answer) => composer.answered(command, answer),
  async refused() {
    try {
      await get(sessionPath(id));
      return true;
    } catch (error) {
      const { status, code, message } = /** @type {import("./api.js").Problem} */ (error);
      if (status === 404 || status === 410) end(t("session.deleted"), true);
      else if (code === "auth.link_over") end(message, false);
      else if (status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
      return status !== 404 && status !== 410 && status !== 401 && status !== 403;
    }
  },
});
const composer = new Composer(socket, () => events.toEnd());
const files = new Files(socket, id);
const bar = new AgentBar(socket, () => composer.focus());
const panel = new AgentPanel(id, $("agent-panel"), () => ({ write: canWrite(), keys: role === "user" || role === "operator" }), (model) => {
  composer.prefer(model !== null);
  bar.setModel(model !== null);
  agentShown();
  around.model(model);
});
const panes = new Panes({
  id, socket, events: all, canWrite: () => canWrite(), phase: () => view,
  openFile(path) {
    panes.show("files");
    files.editor.open(path, 0);
  },
}, {});
const around = new Around({ id, socket, title: () => title, role: () => role, canWrite: () => canWrite(), isUp: () => isUp(), retitled, show: (pane) => panes.show(pane) });
socket.connect();
document.addEventListener("staithe.models", () => panel.refresh());

/** Whether this person only looks on. */
const watches = () => !mayWrite || role === "viewer";
const canWrite = () => !over && role !== "" && role !== "viewer";
const isUp = () => !["stopped", "stopping", "failed"].includes(view.phase);

/** What the agent's state means for the parts of the page. */
function agentShown() {
  const { state, used } = bar.story;
  events.agentIs(state);
  showAgent($("agent"), state);
  setText($("agent"), bar.label);
  composer.setAgent(state);
  panel.used(used);
}

/** What an event says of the session; those up to `hello.head` are older than what `hello` said. @param {any} event */
function seen(event) {
  all.push(event);
  panes.each((pane) => pane.event?.(event));
  composer.note(event);
  bar.story.note(event);
  code.note(event);
  code.show(canWrite() && view.phase === "ready");
  const fresh = event.id > helloHead;
  around.event(event, fresh);
  if (event.observation === "phase_changed") start.note(event.extras, parseTime(event.timestamp ?? ""), fresh);
  if (fresh && event.observation === "phase_changed") show(event.extras);
  if (event.id > events.knownHead && (event.observation === "run" || event.observation === "write" || event.observation === "edit")) files.changed();
}

/** @param {import("./badges.js").PhaseView} now */
function show(now) {
  const woke = now.phase === "ready" && view.phase !== "ready";
  const told = now.reason !== undefined && now.reason !== view.reason && ["settings_kept", "settings_changed"].includes(now.reason);
  const { phase, step, fault, position, progress, reason } = now;
  view = { phase, ...(step && { step }), ...(fault && { fault }), ...(position && { position }), ...(progress && { progress }), ...(reason && { reason }) };
  const { position: _, progress: __, ...plain } = view; // the badge is spoken at each change: the panel has the numbers
  showPhase($("phase"), plain);
  start.show(view);
  if (told) notice(reasonText(view));
  composer.setState(canWrite(), isUp());
  bar.setState(canWrite(), isUp());
  agentShown();
  $("stopped").hidden = view.phase !== "stopped";
  $("asleep").hidden = view.phase !== "suspended";
  $("asleep-how").hidden = !canWrite();
  for (const why of ["stopped-why", "asleep-why"]) setText($(why), reasonText(view));
  showFault(view.phase === "failed" ? view.fault : undefined);
  showButtons();
  files.setReady(view.phase === "ready" || view.phase === "suspended", woke);
  panes.each((pane) => pane.changed?.());
  around.changed();
}

function showButtons() {
  for (const one of ["stop", "delete"]) $(one).hidden = over || watches();
  $("stop").disabled = !canWrite() || !stoppable(view.phase);
  $("delete").disabled = !canWrite();
  code.show(canWrite() && view.phase === "ready");
  for (const button of document.querySelectorAll("[data-start]")) {
    /** @type {HTMLButtonElement} */ (button).hidden = over || watches();
    /** @type {HTMLButtonElement} */ (button).disabled = !canWrite();
  }
}

/** @param {import("./badges.js").PhaseView["fault"]} fault */
function showFault(fault) {
  const shown = !$("fault").hidden;
  $("fault").hidden = !fault;
  if (!fault) return;
  setText($("fault-title"), fault.step ? t("fault.at_step", { step: word("step", fault.step) }) : t("fault.title"));
  setText($("fault-cause"), fault.cause);
  setText($("fault-remedy"), said(fault.remedy));
  setText($("fault-code"), fault.code);
  const log = fault.log_tail ?? [];
  const folded = /** @type {HTMLDetailsElement} */ ($("fault-log"));
  const text = log.join("\n");
  const known = shown && $("fault-lines").textContent === text;
  folded.hidden = log.length === 0;
  setText($("fault-log-title"), t(fault.step === "build" ? "fault.log_build" : "fault.log"));
  setText($("fault-lines"), text);
  if (known) return;
  folded.open = fault.step === "build"; // what went wrong in a build stands nowhere else
  toLastLine();
}

/** The last line is the one that tells. */
function toLastLine() {
  $("fault-lines").scrollTop = $("fault-lines").scrollHeight;
}

/** The title may have changed since the page was made. */
async function refreshTitle() {
  try {
    retitled((await get(sessionPath(id))).title);
  } catch { /* the old one stays */ }
}

/** @param {string} now */
function retitled(now) {
  title = titleOf(now);
  setText($("title"), title);
  $("switch").title = t("switcher.of", { title });
  document.title = `${title} · Staithe`;
}

/** Nothing more comes, and nothing can be done: the page says why, and stays as it is for who reads. @param {string} text @param {boolean} home whether there is a list to go to */
function end(text, home) {
  over = true;
  socket.close();
  setText($("ended-why"), `${text} ${t("session.as_it_was")}`);
  $("ended-home").hidden = !home;
  $("ended").hidden = false;
  // What holds there now isn't known, or is nothing; and there is nobody to talk to.
  for (const one of ["phase", "agent", "asleep", "stopped", "start", "agent-bar", "composer"]) $(one).hidden = true;
  composer.setState(false, false);
  bar.setState(false, false);
  files.joined(false);
  showButtons();
  panes.each((pane) => pane.changed?.());
  around.changed();
  for (const one of ["share", "presence"]) $(one).hidden = true;
}

$("fault-log").addEventListener("toggle", toLastLine);
$("ended-home").addEventListener("click", () => files.forget()); // what isn't saved can't be any more
$("stop").addEventListener("click", async () => {
  if (await confirmStop(title)) await whileBusy($("stop"), () => post(`${sessionPath(id)}/stop`));
  showButtons();
});
$("delete").addEventListener("click", async () => {
  if (!(await confirmDelete(title, Math.max(socket.cursor.last, helloHead)))) return;
  try {
    await call("DELETE", sessionPath(id));
    socket.close();
    files.forget();
    location.assign("/");
  } catch (error) {
    complain(error);
  }
});
for (const button of document.querySelectorAll("[data-start]")) {
  button.addEventListener("click", () => whileBusy(/** @type {HTMLButtonElement} */ (button), () => post(`${sessionPath(id)}/start`)));
}
$("show-all").addEventListener("change", () => $("events").classList.toggle("all", $("show-all").checked));
