//! Any arguments survive being written and read; nothing of a call is ever shown; results and turns as text.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::model::{Image, ToolSpec};

/// Answers with these pieces, whatever is asked; what was asked is kept.
struct Says {
    pieces: Vec<&'static str>,
    cut: bool,
    asked: std::sync::Mutex<Vec<Question>>,
}

impl Says {
    fn new(pieces: &[&'static str]) -> Self {
        Self { pieces: pieces.to_vec(), cut: false, asked: std::sync::Mutex::default() }
    }
}

impl Model for Says {
    fn answer<'a>(
        &'a self,
        question: &'a Question,
        heard: &'a mut (dyn FnMut(Piece) + Send),
    ) -> BoxFuture<'a, Result<Answer, ModelFailed>> {
        self.asked.lock().unwrap().push(question.clone());
        self.pieces.iter().for_each(|piece| heard(Piece::Text((*piece).to_owned())));
        let (id, text) = ("a1".to_owned(), self.pieces.concat());
        let cut = self.cut;
        Box::pin(std::future::ready(Ok(Answer { id, text, cut, ..Answer::default() })))
    }
}

fn ask(pieces: &[&'static str], question: &Question) -> (Answer, Vec<Piece>, Question) {
    let model = Prompted::new(Says::new(pieces));
    let mut heard = Vec::new();
    let mut hear = |piece| heard.push(piece);
    let answer =
        futures_util::FutureExt::now_or_never(model.answer(question, &mut hear)).unwrap().unwrap();
    let asked = model.0.asked.lock().unwrap().remove(0);
    (answer, heard, asked)
}

#[test]
fn only_a_call_whose_end_is_there_was_not_cut() {
    let cut = |text: &'static str| {
        let model = Prompted::new(Says { cut: true, ..Says::new(&[text]) });
        let (question, mut hear) = (question(), |_| {});
        let answer = model.answer(&question, &mut hear);
        let answer = futures_util::FutureExt::now_or_never(answer).unwrap().unwrap();
        (answer.calls.len(), answer.cut)
    };
    assert_eq!(cut("<function=edit>\n<parameter=path>/a"), (1, true));
    assert_eq!(cut("<function=edit>\n<parameter=path>/a</parameter>\n"), (1, true));
    assert_eq!(
        cut("<function=edit>\n<parameter=path>/a</parameter>\n</function>\nAnd"),
        (1, false)
    );
    assert_eq!(cut("I will"), (0, true));
}

fn tool(properties: &Value, required: &[&str]) -> ToolSpec {
    ToolSpec {
        name: "edit".to_owned(),
        description: "Edits a file.".to_owned(),
        parameters: json!({"type": "object", "properties": properties, "required": required}),
    }
}

fn edit() -> ToolSpec {
    let properties = json!({
        "path": {"type": "string", "description": "Where"},
        "line": {"type": "integer"},
        "ranges": {"type": "array"},
        "how": {"type": "string", "enum": ["a", "b"]},
        "loud": {"type": "boolean"},
    });
    tool(&properties, &["path"])
}

fn question() -> Question {
    Question { system: "You help.".to_owned(), said: Vec::new(), tools: vec![edit()] }
}

#[test]
fn a_call_is_heard_as_one_and_its_text_never() {
    let pieces = [
        "I look",
        " at it.\n\n<fun",
        "ction=ed",
        "it>\n<parameter=pa",
        "th>/a</parameter>\n",
        "</function>",
    ];
    let (answer, heard, _) = ask(&pieces, &question());
    assert_eq!(answer.text, "I look at it.");
    assert_eq!(answer.calls.len(), 1);
    let call = &answer.calls[0];
    assert_eq!(
        (call.id.as_str(), call.name.as_str(), call.arguments.as_str()),
        ("call_a1", "edit", r#"{"path":"/a"}"#)
    );
    let expected = [
        Piece::Text("I look".to_owned()),
        Piece::Text(" at it.\n\n".to_owned()),
        Piece::Call("edit".to_owned()),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn text_that_looks_like_a_call_and_is_none_is_shown() {
    for text in
        ["a < b and <function of it", "<function=>", "x <function=no name>", "at the end <functio"]
    {
        let text: &'static str = text;
        let (answer, heard, _) = ask(&[text], &question());
        assert_eq!((answer.text.as_str(), answer.calls.len()), (text, 0));
        let shown: String = heard
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(shown, text);
    }
}

#[test]
fn lost_ends_are_put_there() {
    let tools = [edit()];
    for text in [
        "<function=edit>\n<parameter=path>/a</parameter>\n<parameter=line>3</parameter>\n",
        "<function=edit>\n<parameter=path>/a\n<parameter=line>3",
        "<function=edit><parameter=path>/a</parameter><parameter=line> 3 </parameter></function> and more",
        "<function=edit>\n<parameter=path>\n/a\n</parameter>\n<parameter=line>\n3\n</parameter>\n</function\n>",
    ] {
        let found = find(text, &tools).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&found.arguments).unwrap(),
            json!({"path": "/a", "line": 3}),
            "{text}"
        );
    }
}

#[test]
fn only_the_first_call_counts() {
    let text = "<function=edit>\n<parameter=path>/a</parameter>\n</function>\n<function=edit>\n</function>";
    let (answer, heard, _) = ask(&[text], &question());
    assert_eq!((answer.calls.len(), heard.len()), (1, 1));
}

#[test]
fn tools_turns_and_results_are_told_in_words() {
    let call = ToolCall {
        id: "1".to_owned(),
        name: "edit".to_owned(),
        arguments: r#"{"path":"/a","line":3}"#.to_owned(),
    };
    let mut asked = question();
    asked.said = vec![
        Said::User { text: "Do it".to_owned(), images: Vec::new() },
        Said::Assistant(Answered { text: "Now".to_owned(), calls: vec![call], opaque: None }),
        Said::Tool {
            call_id: "1".to_owned(),
            name: "edit".to_owned(),
            text: "done".to_owned(),
            images: vec![Image("data:image/png;base64,AA".to_owned())],
        },
        Said::User { text: "Wait".to_owned(), images: Vec::new() },
    ];
    let (_, _, told) = ask(&["Well"], &asked);
    assert_eq!(told.tools, []);
    for part in [
        "You help.\n\nYou have access",
        "---- FUNCTION edit ----",
        "- path (string, required): Where",
        "- how (string, optional):  One of [\"a\",\"b\"].",
        "<function=NAME>",
    ] {
        assert!(told.system.contains(part), "{part} in {}", told.system);
    }
    let written = "Now\n\n<function=edit>\n<parameter=path>/a</parameter>\n<parameter=line>3</parameter>\n</function>";
    let expected = [
        asked.said[0].clone(),
        Said::Assistant(Answered { text: written.to_owned(), ..Answered::default() }),
        Said::User {
            text: "EXECUTION RESULT of [edit]:\ndone\n\nWait".to_owned(),
            images: vec![Image("data:image/png;base64,AA".to_owned())],
        },
    ];
    let mut orders = told.said.clone();
    // The order of parameters is the writer's, whatever the map of JSON does with it.
    if let Said::Assistant(answered) = &mut orders[1]
        && answered.text.find("line").unwrap() < answered.text.find("path").unwrap()
    {
        answered.text = written.to_owned();
    }
    assert_eq!(orders, expected);
}

#[test]
fn faults_of_arguments_are_told_all_at_once() {
    let tools = [edit()];
    let faults = |name: &str, arguments: &str| {
        let call =
            ToolCall { id: String::new(), name: name.to_owned(), arguments: arguments.to_owned() };
        check(&call, &tools).unwrap_err()
    };
    assert_eq!(faults("edti", "{}"), "There is no function `edti`. There are: edit.");
    assert!(faults("edit", "{\"path\":").starts_with("The arguments of `edit` are no JSON: "));
    assert_eq!(faults("edit", "[]"), "The arguments of `edit` are no JSON object.");
    let told = faults("edit", r#"{"line":"x","how":"c","ranges":1,"loud":"yes","what":1}"#);
    for part in [
        "The parameter `path` is missing.",
        "`line` has to be of type integer.",
        "`how` has to be one of [\"a\",\"b\"].",
        "`ranges` has to be of type array.",
        "`loud` has to be of type boolean.",
        "There is no parameter `what`.",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let by_prompt =
        find("<function=edit><parameter=path>a</parameter><parameter=line>x</parameter>", &tools)
            .unwrap();
    assert!(faults("edit", &by_prompt.arguments).contains("`line` has to be of type integer"));
    let good = ToolCall {
        id: String::new(),
        name: "edit".to_owned(),
        arguments: r#"{"path":"a","line":3.0}"#.to_owned(),
    };
    assert_eq!(check(&good, &tools).unwrap().len(), 2);
}

/// Values with everything in them that could be mistaken.
fn value() -> impl Strategy<Value = Value> {
    let bits = prop::sample::select(vec![
        "</parameter>",
        "</function>",
        "<parameter=x>",
        "<function=edit>",
        "<\\/parameter>",
        "<\\\\/function",
        "<",
        "\\",
        "\n",
        " ",
        "a",
        "ü",
        "\r\n",
        "\"",
        "{",
        "&lt;",
    ]);
    let text = prop::collection::vec(prop_oneof![bits.prop_map(str::to_owned), ".{0,5}"], 0..8)
        .prop_map(|parts| Value::String(parts.concat()));
    prop_oneof![
        4 => text,
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop::collection::vec(".{0,9}", 0..4).prop_map(Value::from),
        1 => prop::collection::btree_map("[a-z]{1,4}", ".{0,9}", 0..3).prop_map(|it| json!(it)),
    ]
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        _ => "object",
    }
}

fn visible(text: &str, cuts: &[usize]) -> (String, Vec<String>) {
    let mut hide = Hide::default();
    let (mut shown, mut called) = (String::new(), Vec::new());
    let mut hear = |piece| match piece {
        Piece::Text(text) => shown.push_str(&text),
        Piece::Call(name) => called.push(name),
        Piece::Reasoning(_) => {}
    };
    let mut last = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    ends.push(text.len());
    ends.sort_unstable();
    for end in ends {
        if text.is_char_boundary(end) {
            hide.text(&text[last..end], &mut hear);
            last = end;
        }
    }
    hide.rest(&mut hear);
    (shown, called)
}

proptest! {
    #[test]
    fn any_arguments_survive(arguments in prop::collection::btree_map("[a-z_]{1,8}", value(), 0..5), before in "[^<]{0,20}") {
        let properties: Map<String, Value> =
            arguments.iter().map(|(name, value)| (name.clone(), json!({"type": kind(value)}))).collect();
        let tools = [tool(&Value::Object(properties), &[])];
        let arguments = json!(arguments);
        let text = format!("{before}{}", render("edit", &arguments.to_string()));
        for text in [text.as_str(), text.strip_suffix("</function>").unwrap()] {
            let found = find(text, &tools).unwrap();
            prop_assert_eq!(found.begins, before.len());
            prop_assert_eq!(serde_json::from_str::<Value>(&found.arguments).unwrap(), arguments.clone());
        }
    }

    #[test]
    fn wherever_it_is_cut_the_same_is_shown(
        text in prop::collection::vec(prop_oneof![
            Just("<function=".to_owned()), Just("edit".to_owned()), Just(">".to_owned()), Just("<".to_owned()),
            Just("<func".to_owned()), "[a-zü< ]{0,4}",
        ], 0..12).prop_map(|parts| parts.concat()),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let (shown, called) = visible(&text, &cuts);
        let (expected, name) = match find(&text, &[]) {
            Some(found) => (&text[..found.begins], Some(found.name)),
            None => (text.as_str(), None),
        };
        prop_assert_eq!(shown, expected);
        prop_assert_eq!(called, Vec::from_iter(name));
    }
}
