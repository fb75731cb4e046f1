//! The editor on a real folder: every message, word for word.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

struct Stage {
    dir: tempfile::TempDir,
    files: Files,
    editor: Editor,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dir_path = dir.path().canonicalize().unwrap();
        std::fs::create_dir(dir_path.join("work")).unwrap();
        let files = Files::open(&dir_path.join("work")).unwrap();
        Self { dir, files, editor: Editor::default() }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.files.workspace())
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn content(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn edit(&self, args: &Value) -> EditObservation {
        let mut edit: Edit = serde_json::from_value(args.clone()).unwrap();
        IMPL_SOURCE.clone_into(&mut edit.impl_source);
        match self.editor.edit(&self.files, &edit, self.files.workspace()) {
            Observation::Edit(done) => done,
            other => panic!("no edit: {other:?}"),
        }
    }

    /// A command on a file in the workspace; what is said, with `W` for the workspace.
    fn say(&self, command: &str, name: &str, args: &Value) -> String {
        let mut all = json!({ "command": command, "path": self.path(name) });
        all.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        self.short(&self.edit(&all).content)
    }

    fn view(&self, name: &str, range: Option<[i64; 2]>) -> String {
        let read = Read {
            path: self.path(name),
            view_range: range,
            impl_source: IMPL_SOURCE.to_owned(),
            ..Read::default()
        };
        match self.editor.view(&self.files, &read, self.files.workspace()) {
            Observation::Read(seen) => self.short(&seen.content),
            Observation::Error(error) => format!("error observation: {}", error.content),
            other => panic!("no read: {other:?}"),
        }
    }

    fn short(&self, text: &str) -> String {
        text.replace(self.files.workspace(), "W")
    }
}

#[test]
fn a_file_is_viewed_with_numbers() {
    let stage = Stage::new();
    stage.put("f", "one\n\ttwo\nthree");
    assert_eq!(
        stage.view("f", None),
        "Here's the result of running `cat -n` on W/f:\n     1\tone\n     2\t\ttwo\n     3\tthree\n"
    );
    stage.put("f", "one\n");
    assert_eq!(
        stage.say("view", "f", &json!({})),
        "Here's the result of running `cat -n` on W/f:\n     1\tone\n     2\t\n"
    );
}

#[test]
fn a_range_is_viewed_and_one_that_ends_too_late_is_cut_with_a_note() {
    let stage = Stage::new();
    stage.put("f", "1\n2\n3\n");
    let shown = "Here's the result of running `cat -n` on W/f:\n     2\t2\n     3\t3\n";
    assert_eq!(stage.view("f", Some([2, 3])), shown);
    assert_eq!(stage.view("f", Some([2, -1])), shown);
    assert_eq!(
        stage.view("f", Some([2, 9])),
        format!("NOTE: We only show up to 3 since there're only 3 lines in this file.\n{shown}")
    );
    assert_eq!(
        stage.view("f", Some([0, 1])),
        "ERROR:\nInvalid `view_range` parameter: [0, 1]. Its first element `0` should be within the range of lines of the file: [1, 3]."
    );
    assert_eq!(
        stage.view("f", Some([4, 5])),
        "ERROR:\nInvalid `view_range` parameter: [4, 5]. Its first element `4` should be within the range of lines of the file: [1, 3]."
    );
    assert_eq!(
        stage.view("f", Some([3, 1])),
        "ERROR:\nInvalid `view_range` parameter: [3, 1]. Its second element `1` should be greater than or equal to the first element `3`."
    );
    assert_eq!(
        stage.view("f", Some([3, -2])),
        "ERROR:\nInvalid `view_range` parameter: [3, -2]. Its second element `-2` should be greater than or equal to the first element `3`."
    );
}

#[test]
fn a_folder_is_viewed_two_levels_deep_without_what_is_hidden() {
    let stage = Stage::new();
    std::fs::create_dir_all(stage.path("b/c/d")).unwrap();
    std::fs::create_dir(stage.path(".git")).unwrap();
    stage.put("a.txt", "");
    stage.put("b/.hidden", "");
    stage.put("b/c/d/deep", "");
    stage.put("b-c", "");
    std::os::unix::fs::symlink("b", stage.path("link")).unwrap();
    std::os::unix::fs::symlink("/etc", stage.path("out")).unwrap();
    let top = stage.edit(&json!({ "command": "view", "path": stage.files.workspace() }));
    assert_eq!(
        stage.short(&top.content),
        "Here's the files and directories up to 2 levels deep in W, excluding hidden items:\n\
         W/\nW/a.txt\nW/b/\nW/b-c\nW/b/c/\nW/link/\nW/link/c/\nW/out\n\n\
         1 hidden files/directories in this directory are excluded. You can use 'ls -la W' to see them."
    );
    assert_eq!(
        stage.view("b/c", None),
        "Here's the files and directories up to 2 levels deep in W/b/c, excluding hidden items:\nW/b/c/\nW/b/c/d/\nW/b/c/d/deep"
    );
    assert_eq!(
        stage.view("b", Some([1, 2])),
        "ERROR:\nInvalid `view_range` parameter: [1, 2]. The `view_range` parameter is not allowed when `path` points to a directory."
    );
}

#[test]
fn of_a_large_folder_the_first_paths_are_shown_and_no_others_are_looked_for() {
    let stage = Stage::new();
    for folder in 0..40 {
        std::fs::create_dir(stage.path(&format!("d{folder:02}"))).unwrap();
        for file in 0..100 {
            stage.put(&format!("d{folder:02}/{file:02}"), "");
        }
    }
    let all = stage.view("", None);
    let mut lines = vec![stage.path("")];
    for folder in 0..40 {
        lines.push(stage.path(&format!("d{folder:02}/")));
        lines.extend((0..100).map(|file| stage.path(&format!("d{folder:02}/{file:02}"))));
    }
    let shown = stage.short(&lines.join("\n")[..words::MOST_SHOWN]);
    let shown = shown.trim_end_matches(|c: char| c != '\n');
    assert!(all.contains(shown), "{all}");
    assert!(all.contains("<response clipped><NOTE>") && !all.contains("d39"), "{all}");
}

#[test]
fn long_answers_are_clipped_with_a_note() {
    let stage = Stage::new();
    stage.put("f", "é".repeat(16_001));
    let note = "<response clipped><NOTE>Due to the max output limit, only part of this file has been shown to you. You should retry this tool after you have searched inside the file with `grep -n` in order to find the line numbers of what you are looking for.</NOTE>";
    let shown = stage.view("f", None);
    assert!(shown.ends_with(&format!("     1\t{}{note}\n", "é".repeat(16_000))));
    std::fs::create_dir(stage.path("d")).unwrap();
    for number in 0..2_000 {
        stage.put(&format!("d/a-long-name-{number:05}"), "");
    }
    let shown = stage.view("d", None);
    assert!(shown.ends_with("<response clipped><NOTE>Due to the max output limit, only part of this directory has been shown to you. You should use `ls -la` instead to view large directories incrementally.</NOTE>"));
    let old = "x".repeat(20_000);
    let said = stage.say("str_replace", "f", &json!({ "old_str": old }));
    assert!(said.ends_with("<response clipped><NOTE>Due to the max output limit, only part of the full response has been shown to you.</NOTE>"));
}

#[test]
fn a_file_is_created_once() {
    let stage = Stage::new();
    let made =
        stage.edit(&json!({ "command": "create", "path": stage.path("f"), "file_text": "a\tb" }));
    assert_eq!(stage.short(&made.content), "File created successfully at: W/f");
    assert_eq!(
        (made.prev_exist, made.old_content, made.new_content.as_deref()),
        (false, None, Some("a\tb"))
    );
    assert_eq!(made.impl_source, "oh_aci");
    assert_eq!(stage.content("f"), "a\tb");
    assert_eq!(
        stage.say("create", "empty", &json!({ "file_text": "" })),
        "File created successfully at: W/empty"
    );
    assert_eq!(stage.content("empty"), "");
    assert_eq!(
        stage.say("create", "f", &json!({ "file_text": "other" })),
        "ERROR:\nInvalid `path` parameter: W/f. File already exists at: W/f. Cannot overwrite files using command `create`."
    );
    assert_eq!(
        stage.say("create", "g", &json!({})),
        "ERROR:\nParameter `file_text` is required for command: create."
    );
    assert_eq!(
        stage.say("create", "no/f", &json!({ "file_text": "" })),
        "ERROR:\nRan into [Errno 2] No such file or directory: 'W/no/f' while trying to write to W/no/f"
    );
}

#[test]
fn a_text_is_replaced_where_it_occurs_once() {
    let stage = Stage::new();
    stage.put("f", "This is a test file.\nThis file is for testing purposes.");
    let args = json!({ "command": "str_replace", "path": stage.path("f"), "old_str": "test file", "new_str": "sample file" });
    let done = stage.edit(&args);
    assert_eq!(
        stage.short(&done.content),
        "The file W/f has been edited. Here's the result of running `cat -n` on a snippet of W/f:\n     1\tThis is a sample file.\n     2\tThis file is for testing purposes.\nReview the changes and make sure they are as expected. Edit the file again if necessary."
    );
    assert!(done.prev_exist);
    assert_eq!(
        done.old_content.as_deref(),
        Some("This is a test file.\nThis file is for testing purposes.")
    );
    assert_eq!(
        done.new_content.as_deref(),
        Some("This is a sample file.\nThis file is for testing purposes.")
    );
    assert_eq!(
        stage.short(&done.diff.unwrap()),
        "--- W/f\n+++ W/f\n@@ -1,2 +1,2 @@\n-This is a test file.\n+This is a sample file.\n This file is for testing purposes.\n\\ No newline at end of file\n"
    );
    assert_eq!(
        stage.say("str_replace", "f", &json!({ "old_str": "is", "new_str": "was" })),
        "ERROR:\nNo replacement was performed. Multiple occurrences of old_str `is` in lines [1, 2]. Please ensure it is unique."
    );
    assert_eq!(
        stage.say("str_replace", "f", &json!({ "old_str": "absent", "new_str": "x" })),
        "ERROR:\nNo replacement was performed, old_str `absent` did not appear verbatim in W/f."
    );
    assert_eq!(
        stage.say("str_replace", "f", &json!({ "old_str": "a", "new_str": "a" })),
        "ERROR:\nInvalid `new_str` parameter: a. No replacement was performed. `new_str` and `old_str` must be different."
    );
    assert_eq!(
        stage.say("str_replace", "f", &json!({})),
        "ERROR:\nParameter `old_str` is required for command: str_replace."
    );
}

#[test]
fn lines_are_inserted() {
    let stage = Stage::new();
    stage.put("f", "1\n2\n3\n");
    assert_eq!(
        stage.say("insert", "f", &json!({ "insert_line": 1, "new_str": "new" })),
        "The file W/f has been edited. Here's the result of running `cat -n` on a snippet of the edited file:\n     1\t1\n     2\tnew\n     3\t2\n     4\t3\n     5\t\nReview the changes and make sure they are as expected (correct indentation, no duplicate lines, etc). Edit the file again if necessary."
    );
    assert_eq!(stage.content("f"), "1\nnew\n2\n3\n");
    for line in [-1, 5] {
        assert_eq!(
            stage.say("insert", "f", &json!({ "insert_line": line, "new_str": "x" })),
            format!(
                "ERROR:\nInvalid `insert_line` parameter: {line}. It should be within the range of allowed values: [0, 4]"
            )
        );
    }
    assert_eq!(
        stage.say("insert", "f", &json!({ "new_str": "x" })),
        "ERROR:\nParameter `insert_line` is required for command: insert."
    );
    assert_eq!(
        stage.say("insert", "f", &json!({ "insert_line": 0 })),
        "ERROR:\nParameter `new_str` is required for command: insert."
    );
}

#[test]
fn an_edit_is_undone() {
    let stage = Stage::new();
    stage.put("f", "a\r\nb\r\n");
    assert_eq!(stage.say("undo_edit", "f", &json!({})), "ERROR:\nNo edit history found for W/f.");
    stage.say("str_replace", "f", &json!({ "old_str": "a\nb", "new_str": "x" }));
    assert_eq!(stage.content("f"), "x\r\n");
    assert_eq!(
        stage.say("undo_edit", "f", &json!({})),
        "Last edit to W/f undone successfully. Here's the result of running `cat -n` on W/f:\n     1\ta\n     2\tb\n     3\t\n"
    );
    assert_eq!(stage.content("f"), "a\r\nb\r\n");
    assert_eq!(stage.say("undo_edit", "f", &json!({})), "ERROR:\nNo edit history found for W/f.");
}

#[test]
fn paths_are_checked_before_anything_is_done() {
    let stage = Stage::new();
    stage.put("f", "x");
    let said = |path: &str, command: &str| {
        stage.short(&stage.edit(&json!({ "command": command, "path": path })).content)
    };
    assert_eq!(
        said("f", "view"),
        "ERROR:\nInvalid `path` parameter: f. The path should be an absolute path, starting with `/`. Maybe you meant W/f?"
    );
    assert_eq!(
        said("no/f", "view"),
        "ERROR:\nInvalid `path` parameter: no/f. The path should be an absolute path, starting with `/`."
    );
    for outside in ["/etc/passwd", "/workspace/../etc/passwd"] {
        assert_eq!(
            said(outside, "view"),
            format!(
                "ERROR:\nInvalid `path` parameter: {outside}. The path {outside} is outside the workspace W. Only files below it can be viewed and edited."
            )
        );
    }
    for command in ["view", "str_replace", "insert", "undo_edit", "other"] {
        assert_eq!(
            stage.say(command, "none", &json!({ "old_str": "", "new_str": "x", "insert_line": 0 })),
            "ERROR:\nInvalid `path` parameter: W/none. The path W/none does not exist. Please provide a valid path."
        );
    }
    std::fs::create_dir(stage.path("d")).unwrap();
    assert_eq!(
        stage.say("str_replace", "d/", &json!({ "old_str": "x" })),
        "ERROR:\nInvalid `path` parameter: W/d. The path W/d is a directory and only the `view` command can be used on directories."
    );
    assert_eq!(
        stage.say("jump", "f", &json!({})),
        "ERROR:\nUnrecognized command jump. The allowed commands for the oh_editor tool are: view, create, str_replace, insert, undo_edit"
    );
}

#[test]
fn a_symlink_never_leads_outside() {
    let stage = Stage::new();
    let secret = stage.dir.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::os::unix::fs::symlink("../secret", stage.path("link")).unwrap();
    let said = stage.view("link", None);
    assert!(
        said.starts_with("ERROR:\nInvalid `path` parameter: W/link. The path W/link is outside"),
        "{said}"
    );
    let said = stage.say("str_replace", "link", &json!({ "old_str": "secret", "new_str": "x" }));
    assert!(said.starts_with("ERROR:\n") && !said.contains("has been"), "{said}");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
}

#[test]
fn what_is_no_text_or_too_large_is_refused() {
    let stage = Stage::new();
    let binary = "File validation failed for W/f: File appears to be binary and this file type cannot be read or edited by this tool.";
    for content in [&b"\xff\xfe"[..], b"a\0b"] {
        stage.put("f", content);
        assert_eq!(stage.say("view", "f", &json!({})), format!("ERROR:\n{binary}"));
        assert_eq!(stage.view("f", None), "error observation: ERROR_BINARY_FILE");
    }
    for size in [10 * 1024 * 1024 + 1, 17 * 1024 * 1024] {
        stage.put("f", "x".repeat(size));
        let shown = if size > 16 * 1024 * 1024 { "17.0" } else { "10.0" };
        assert_eq!(
            stage.view("f", None),
            format!(
                "ERROR:\nFile validation failed for W/f: File is too large ({shown}MB). Maximum allowed size is 10MB."
            )
        );
    }
}

#[test]
fn an_edit_of_lines_is_refused_plainly() {
    let stage = Stage::new();
    for (impl_source, command) in [("llm_based_edit", ""), ("oh_aci", "")] {
        let edit = Edit {
            path: stage.path("f"),
            impl_source: impl_source.to_owned(),
            command: command.to_owned(),
            ..Edit::default()
        };
        match stage.editor.edit(&stage.files, &edit, "/") {
            Observation::Error(error) => {
                assert!(
                    error.content.starts_with("ERROR:\nThe sandbox edits files by command only")
                );
                assert_eq!(error.error_id, "AGENT_ERROR$BAD_ACTION");
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn large_texts_are_not_stored_with_the_observation() {
    let stage = Stage::new();
    stage.put("f", format!("a\n{}", "x".repeat(300 * 1024)));
    let args = json!({ "command": "str_replace", "path": stage.path("f"), "old_str": "a\n", "new_str": "b\n" });
    let done = stage.edit(&args);
    assert!(done.content.contains("has been edited."));
    assert_eq!((done.old_content, done.new_content, done.diff), (None, None, None));
}

#[derive(Clone, Debug)]
enum Step {
    Replace(String, String),
    Insert(i64, String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        ("[ab\n]{0,3}", "[abc\n\t]{0,4}").prop_map(|(old, new)| Step::Replace(old, new)),
        (-1_i64..6, "[abc\n]{0,4}").prop_map(|(line, new)| Step::Insert(line, new)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn undoing_all_edits_leads_back_to_the_start(
        start in "([ab]{0,3}(\n|\r\n)){0,5}[ab]{0,2}",
        steps in prop::collection::vec(step(), 0..10),
    ) {
        let stage = Stage::new();
        stage.put("f", &start);
        let mut texts = vec![start];
        for step in steps {
            let said = match step {
                Step::Replace(old, new) => stage.say("str_replace", "f", &json!({ "old_str": old, "new_str": new })),
                Step::Insert(line, new) => stage.say("insert", "f", &json!({ "insert_line": line, "new_str": new })),
            };
            if said.starts_with("ERROR:\n") {
                prop_assert_eq!(&stage.content("f"), texts.last().unwrap());
            } else {
                texts.push(stage.content("f"));
            }
        }
        while texts.len() > 1 {
            texts.pop();
            let said = stage.say("undo_edit", "f", &json!({}));
            prop_assert!(said.starts_with("Last edit to W/f undone successfully. "), "{}", said);
            prop_assert_eq!(&stage.content("f"), texts.last().unwrap());
        }
        prop_assert_eq!(stage.say("undo_edit", "f", &json!({})), "ERROR:\nNo edit history found for W/f.");
    }
}
