//! What is said of each tool. Every sentence is true of the sandbox as its runner is. Pure.

pub(super) const BASH: &str = "\
Runs a command in the sandbox's shell.
* It is one shell that lives as long as the sandbox: its folder, variables and functions stay from call to call. One \
command runs in it at a time; chain steps with `&&` or `;`.
* Without `timeout` the call comes back when the command ends, or when it has printed nothing new for a while (some \
ten seconds, and two minutes at most); it then goes on running, with the exit code told as -1. With `timeout` the call waits for the end for so \
many seconds, however quiet it is; give it for builds, tests and installations. A command that passes its limit goes \
on running, too.
* While a command runs, no other can be started. Send an empty `command` to wait for more of its output, text with \
`is_input` to type a line into it, or `C-c`, `C-z`, `C-d` as `command` with `is_input` to send that key: `C-c` ends \
most programs.
* Start servers and other programs that do not end in the background with their output in a file, as in \
`python3 app.py > app.log 2>&1 &`.
* Use options that keep programs from asking (`-y`, `--no-pager`). Of long output only the beginning and the end are \
told; write it to a file and look at parts of that.";

pub(super) const PYTHON: &str = "\
Runs Python in a Jupyter kernel of the sandbox that keeps its variables and imports from call to call. What is printed, \
the value of the last line and pictures come back. `%pip install` and other magics work. For commands use the shell.";

pub(super) const EDITOR: &str = "\
Views, creates and changes text files. Paths are absolute and within the workspace.
* `view` shows a file with line numbers (lines `view_range`, the last one -1 for the end), or a folder two levels deep.
* `create` makes a new file of `file_text`; its folder has to exist, the file must not.
* `str_replace` puts `new_str` in the place of `old_str`, which has to be in the file exactly once, spaces and line \
ends included; take enough lines around it to make it so. Without `new_str` it is removed.
* `insert` puts `new_str` behind line `insert_line`; 0 is the beginning of the file.
* `undo_edit` takes the last change of that file by this tool back.";

pub(super) const BROWSER: &str = "\
Operates a browser in the sandbox by calls in the form of Python's, one a line, with literal values only. The page's \
text comes back with its accessibility tree, in which `[12]` is the bid of an element; bids change when the page does. \
The calls stop at the first that fails.
goto(url) | go_back() | go_forward() | new_tab() | tab_focus(index) | tab_close()
click(bid, button='left', modifiers=[]) | dblclick(bid, button='left', modifiers=[]) | hover(bid) | focus(bid) | \
drag_and_drop(from_bid, to_bid)
fill(bid, value) | clear(bid) | press(bid, key_comb) | select_option(bid, options) | upload_file(bid, file)
keyboard_type(text) | keyboard_press(key) | scroll(delta_x, delta_y) | noop(wait_ms=1000)
A key is named as in `Enter`, `Control+a`. For example: fill('12', 'harbour')
press('12', 'Enter')";

pub(super) const WEB_READ: &str = "\
Opens a page in the sandbox's browser and gives its text. For reading only; to click or fill use `browser`.";

pub(super) const THINK: &str = "\
Notes a thought and does nothing else. For when several ways are open, a fault is not understood, or a plan is needed.";

pub(super) const TASKS: &str = "\
Your list of tasks, which people see. `plan` sets the whole list to `task_list`, `view` shows it. Keep one for work of \
several steps: one task is `in_progress` at a time, and one is `done` only when it has been checked.";

pub(super) const FINISH: &str = "\
Ends the work: the task is done, or can't be done. `message` is what the user reads: what was done, how it was checked, \
what is left or could not be done.";

pub(super) const DELEGATE: &str = "\
Gives a task to another agent, which works in the same sandbox with a memory of its own, and waits for its report. It \
knows nothing but `task`: say all that it needs, and what it has to report. For a part that can be told apart and would \
fill your own memory.";

pub(super) const CONDENSE: &str = "\
Has the older part of this talk replaced by a summary. For when what came before is of no more use in detail.";

/// Said of the arguments that several tools have.
pub(super) const RISK: &str = "\
How much harm this call could do. LOW: it reads, or changes only files of the task in the workspace. MEDIUM: it changes \
the sandbox beyond them, installs software, or fetches from the network. HIGH: it sends data out, touches secrets, \
deletes what can't be had again, or acts on systems outside the sandbox.";

/// The kind of agent that delegates are, as the vocabulary names it.
pub(super) const AGENT: &str = "CodeActAgent";
