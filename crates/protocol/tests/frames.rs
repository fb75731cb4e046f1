//! Frames, file operations and the runner's messages survive their encoding: they are tagged within
//! and flattened, where serde is easily surprised.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use staithe_protocol::{
    Action, AgentState, EventId, Observation, Phase, PhaseView, SessionId, StartStep,
    action::Run,
    files::{Encoding, Entry, EntryType, FileCode, FileDenied, FileDone, FileOp, LineEdit},
    frames::{ClientFrame, PartialKind, Role, ServerFrame, ServerName},
    observation::RunObservation,
    runner::{Answer, Call, CallFailed, FromRunner, Hello, Limits, ServerInfo, ToRunner},
    terminal::{Driving, TerminalCommand, TerminalExit, TerminalInfo, TerminalNews, TerminalSize},
};

fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
) -> Result<(), TestCaseError> {
    let text = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&text)
        .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
    prop_assert_eq!(&read, value, "{}", text);
    let read: T = serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap();
    prop_assert_eq!(&read, value, "{}", text);
    Ok(())
}

fn text() -> BoxedStrategy<String> {
    any::<String>().boxed()
}

fn maybe_text() -> BoxedStrategy<Option<String>> {
    option::of(text()).boxed()
}

fn encodings() -> impl Strategy<Value = Encoding> {
    select(&[Encoding::Utf8, Encoding::Base64][..])
}

/// Any number but those that JSON has not.
fn times() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn file_ops() -> impl Strategy<Value = FileOp> {
    let edits = vec((any::<u64>(), any::<u64>(), text()), 0..3).prop_map(|edits| {
        edits.into_iter().map(|(start, end, text)| LineEdit { start, end, text }).collect()
    });
    prop_oneof![
        (text(), any::<Option<u64>>(), any::<Option<u64>>())
            .prop_map(|(path, offset, length)| FileOp::Read { path, offset, length }),
        (text(), text(), encodings(), any::<Option<u32>>(), any::<bool>()).prop_map(
            |(path, content, encoding, mode, create_parents)| FileOp::Create {
                path,
                content,
                encoding,
                mode,
                create_parents
            }
        ),
        ((text(), text(), encodings(), maybe_text()), any::<(bool, Option<u32>, bool)>()).prop_map(
            |((path, content, encoding, if_match), (force, mode, create_parents))| FileOp::Write {
                path,
                content,
                encoding,
                if_match,
                force,
                mode,
                create_parents
            }
        ),
        (text(), text(), option::of(edits), maybe_text()).prop_map(
            |(path, if_match, edits, diff)| FileOp::Patch { path, if_match, edits, diff }
        ),
        (text(), maybe_text(), any::<(bool, bool)>()).prop_map(
            |(path, if_match, (recursive, force))| FileOp::Delete {
                path,
                if_match,
                recursive,
                force
            }
        ),
        (text(), text(), maybe_text(), any::<bool>()).prop_map(
            |(path, to, if_match, overwrite)| FileOp::Rename { path, to, if_match, overwrite }
        ),
        (text(), any::<bool>()).prop_map(|(path, parents)| FileOp::Mkdir { path, parents }),
        text().prop_map(|path| FileOp::Stat { path }),
        (text(), any::<Option<u32>>(), vec(text(), 0..3), any::<bool>()).prop_map(
            |(path, depth, ignore, versions)| FileOp::List { path, depth, ignore, versions }
        ),
    ]
}

fn dones() -> impl Strategy<Value = FileDone> {
    let entry =
        (text(), any::<u64>(), times(), maybe_text()).prop_map(|(path, size, mtime, version)| {
            Entry { path, kind: EntryType::Symlink, size, mtime, mode: 0o644, version }
        });
    (
        (text(), maybe_text(), maybe_text(), maybe_text(), option::of(encodings())),
        (any::<Option<u64>>(), option::of(times()), any::<Option<u32>>()),
        option::of(vec(entry, 0..3)),
        any::<(Option<bool>, Option<bool>, Option<bool>)>(),
    )
        .prop_map(
            |(
                (path, version, previous_version, content, encoding),
                (size, mtime, mode),
                entries,
                (truncated, already_absent, racy),
            )| FileDone {
                path,
                version,
                previous_version,
                content,
                encoding,
                size,
                mtime,
                mode,
                entries,
                truncated,
                already_absent,
                racy,
            },
        )
}

fn client_frames() -> impl Strategy<Value = ClientFrame> {
    let value = text().prop_map(|text| json!({ "action": text, "type": "do", "ref": 1 }));
    prop_oneof![
        (text(), value).prop_map(|(reference, action)| ClientFrame::Do { reference, action }),
        (text(), file_ops()).prop_map(|(reference, op)| ClientFrame::File { reference, op }),
        maybe_text().prop_map(|reference| ClientFrame::Interrupt { reference }),
        maybe_text().prop_map(|nonce| ClientFrame::Ping { nonce: nonce.map(Value::from) }),
        terminal_frames(),
    ]
}

fn terminal_frames() -> impl Strategy<Value = ClientFrame> {
    let command = option::of(prop_oneof![
        text().prop_map(TerminalCommand::Line),
        vec(text(), 0..3).prop_map(TerminalCommand::Words),
    ]);
    let open = (
        (text(), maybe_text(), maybe_text(), maybe_text()),
        command,
        any::<[Option<u16>; 2]>(),
        any::<(Option<u32>, Option<u64>)>(),
    )
        .prop_map(
            |((reference, epoch, name, cwd), command, [cols, rows], (terminal, from))| {
                ClientFrame::TerminalOpen {
                    reference,
                    terminal,
                    from,
                    epoch,
                    name,
                    command,
                    cwd,
                    cols,
                    rows,
                }
            },
        );
    prop_oneof![
        open,
        (maybe_text(), any::<(u32, u16, u16)>()).prop_map(|(reference, (terminal, cols, rows))| {
            ClientFrame::TerminalResize { reference, terminal, cols, rows }
        }),
        (text(), any::<(u32, bool)>()).prop_map(|(reference, (terminal, kill))| {
            ClientFrame::TerminalClose { reference, terminal, kill }
        }),
        (text(), any::<(u32, bool, bool)>()).prop_map(|(reference, (terminal, drive, take))| {
            ClientFrame::TerminalDrive { reference, terminal, drive, take }
        }),
        (text(), text(), any::<u32>()).prop_map(|(reference, name, terminal)| {
            ClientFrame::TerminalRename { reference, terminal, name }
        }),
        text().prop_map(|reference| ClientFrame::TerminalList { reference }),
        (text(), any::<u32>())
            .prop_map(|(reference, terminal)| ClientFrame::TerminalDetach { reference, terminal }),
    ]
}

fn sizes() -> impl Strategy<Value = TerminalSize> {
    any::<(u16, u16)>().prop_map(|(cols, rows)| TerminalSize { cols, rows })
}

fn exits() -> impl Strategy<Value = TerminalExit> {
    any::<(i64, Option<i64>)>().prop_map(|(code, signal)| TerminalExit { code, signal })
}

fn terminals() -> impl Strategy<Value = TerminalInfo> {
    let numbers = any::<(u32, u64, u64, u32)>();
    let texts = (text(), text(), text(), maybe_text());
    (numbers, texts, sizes(), option::of(exits())).prop_map(
        |((id, offset, oldest, followers), (epoch, name, title, driver), size, exit)| {
            TerminalInfo {
                id,
                epoch,
                name,
                title,
                size,
                offset,
                oldest,
                driving: Driving::One,
                driver,
                followers,
                exit,
            }
        },
    )
}

fn terminal_news() -> impl Strategy<Value = TerminalNews> {
    prop_oneof![
        (terminals(), text()).prop_map(|(info, you)| TerminalNews::Opened { info, you }),
        (any::<(u64, u64)>(), sizes()).prop_map(|((offset, bytes), size)| TerminalNews::Replay {
            offset,
            bytes,
            size
        }),
        (any::<u64>(), sizes()).prop_map(|(offset, size)| TerminalNews::Size { offset, size }),
        (text(), text()).prop_map(|(title, name)| TerminalNews::Title { title, name }),
        maybe_text().prop_map(|driver| TerminalNews::Driver { driver }),
        (exits(), any::<u64>()).prop_map(|(exit, offset)| TerminalNews::Exit { exit, offset }),
        (text(), text(), any::<u64>()).prop_map(|(code, reason, bytes)| TerminalNews::Refused {
            code,
            reason,
            bytes
        }),
        (text(), text()).prop_map(|(code, reason)| TerminalNews::Gone { code, reason }),
    ]
}

fn denials() -> impl Strategy<Value = ServerFrame> {
    (maybe_text(), text(), text(), maybe_text(), maybe_text(), maybe_text()).prop_map(
        |(reference, code, reason, current_version, current_content, moved_to)| {
            ServerFrame::Denied {
                reference,
                code,
                reason,
                current_version,
                current_content,
                moved_to,
            }
        },
    )
}

fn server_frames() -> impl Strategy<Value = ServerFrame> {
    let step = Some(StartStep::Create);
    let hello = (any::<i64>(), text(), any::<bool>()).prop_map(move |(head, name, starting)| {
        ServerFrame::Hello {
            session: SessionId::generate(),
            phase: if starting {
                PhaseView { step, ..PhaseView::of(Phase::Starting) }
            } else {
                PhaseView::of(Phase::Stopped)
            },
            agent_state: AgentState::Init,
            head,
            role: Role::Operator,
            server: ServerName { name, version: String::new() },
        }
    });
    let event = || any::<Option<u64>>().prop_map(|id| id.map(EventId));
    let done = (text(), event(), any::<Option<bool>>(), option::of(dones())).prop_map(
        |(reference, event_id, running, file)| ServerFrame::Done {
            reference,
            event_id,
            running,
            file: file.map(Box::new),
            terminals: None,
        },
    );
    let listed = (text(), vec(terminals(), 0..3)).prop_map(|(reference, all)| ServerFrame::Done {
        reference,
        event_id: None,
        running: None,
        file: None,
        terminals: Some(all),
    });
    let terminal =
        (any::<u32>(), text(), terminal_news()).prop_map(|(terminal, reference, news)| {
            ServerFrame::Terminal { terminal, reference, news }
        });
    prop_oneof![
        hello,
        any::<u64>().prop_map(|oldest| ServerFrame::Expired { oldest: EventId(oldest) }),
        done,
        listed,
        terminal,
        denials(),
        (text(), text(), text(), any::<u64>()).prop_map(
            |(reference, code, reason, retry_after)| ServerFrame::Unavailable {
                reference,
                code,
                reason,
                retry_after
            }
        ),
        (text(), text(), text(), text()).prop_map(|(reference, code, reason, id)| {
            ServerFrame::Failed { reference, code, reason, id }
        }),
        (event(), any::<(u64, u64, u64)>(), text()).prop_map(
            |(cause, (seq, offset, skipped), text)| ServerFrame::Partial {
                cause,
                kind: [PartialKind::Output, PartialKind::Answer][usize::from(seq % 2 == 0)],
                seq,
                text,
                offset,
                skipped
            }
        ),
        maybe_text().prop_map(|nonce| ServerFrame::Pong { nonce: nonce.map(Value::from) }),
        any::<u64>().prop_map(|retry_after| ServerFrame::Draining { retry_after }),
    ]
}

fn to_runner() -> impl Strategy<Value = ToRunner> {
    let act = (text(), text(), any::<(u64, u64, u64)>()).prop_map(
        |(key, command, (timeout_ms, no_change_ms, max_output))| Call::Act {
            key,
            action: Action::Run(Run { command, ..Run::default() }),
            limits: Limits { timeout_ms, no_change_ms, max_output },
            source: None,
        },
    );
    let call = prop_oneof![
        act,
        Just(Call::Act {
            key: String::new(),
            action: Action::Null,
            limits: Limits { timeout_ms: 1, no_change_ms: 1, max_output: 1 },
            source: None,
        }),
        Just(Call::Interrupt { only: None }),
        Just(Call::Interrupt { only: Some(staithe_protocol::runner::Foreground::Kernel) }),
        file_ops().prop_map(|op| Call::File { op, origin: None }),
        Just(Call::Info {}),
    ];
    prop_oneof![
        (any::<u64>(), call).prop_map(|(id, call)| ToRunner::Request { id, call }),
        any::<u64>().prop_map(|id| ToRunner::Cancel { id }),
    ]
}

fn from_runner() -> impl Strategy<Value = FromRunner> {
    let observed = (text(), any::<i64>(), any::<Option<u64>>()).prop_map(
        |(content, exit_code, total_bytes)| {
            let run =
                RunObservation { content, exit_code, total_bytes, ..RunObservation::default() };
            Answer::Observed { observation: Box::new(Observation::Run(run)) }
        },
    );
    let info = (times(), any::<bool>(), text()).prop_map(|(uptime, busy, cwd)| Answer::Info {
        info: ServerInfo { uptime, busy, cwd, ..ServerInfo::default() },
    });
    let answer = prop_oneof![
        observed,
        any::<bool>().prop_map(|running| Answer::Interrupted { running }),
        dones().prop_map(|done| Answer::FileDone { done }),
        (text(), maybe_text()).prop_map(|(message, current_version)| Answer::FileDenied {
            denied: FileDenied { current_version, ..FileDenied::new(FileCode::Conflict, message) }
        }),
        info,
        (text(), text())
            .prop_map(|(code, message)| Answer::Failed { error: CallFailed { code, message } }),
    ];
    prop_oneof![
        (text(), text(), text(), vec(text(), 0..3)).prop_map(
            |(epoch, version, workspace, known_keys)| FromRunner::Hello(Hello {
                epoch,
                version,
                workspace,
                known_keys
            })
        ),
        (any::<u64>(), answer).prop_map(|(id, answer)| FromRunner::Answer { id, answer }),
        (maybe_text(), any::<(u64, u64)>(), text()).prop_map(|(key, (offset, skipped), text)| {
            FromRunner::Output { key, offset, text, skipped }
        }),
    ]
}

proptest! {
    #[test]
    fn any_file_operation_survives_its_encoding(op in file_ops()) {
        survives(&op)?;
    }

    #[test]
    fn any_frame_of_a_client_survives_its_encoding(frame in client_frames()) {
        survives(&frame)?;
    }

    #[test]
    fn any_frame_to_a_client_survives_its_encoding(frame in server_frames()) {
        survives(&frame)?;
    }

    #[test]
    fn any_message_to_the_runner_survives_its_encoding(message in to_runner()) {
        survives(&message)?;
    }

    #[test]
    fn any_message_of_the_runner_survives_its_encoding(message in from_runner()) {
        survives(&message)?;
    }
}

#[test]
fn a_file_frame_is_one_flat_object() {
    let frame: ClientFrame =
        serde_json::from_str(r#"{"type":"file","ref":"1","op":"read","path":"a"}"#).unwrap();
    let op = FileOp::Read { path: "a".to_owned(), offset: None, length: None };
    assert_eq!(frame, ClientFrame::File { reference: "1".to_owned(), op });
}

#[test]
fn an_unknown_field_of_a_file_operation_is_refused() {
    for text in [
        r#"{"type":"file","ref":"1","op":"read","path":"a","lenght":1}"#,
        r#"{"type":"file","ref":"1","op":"stat","path":"a","force":true}"#,
    ] {
        let error = serde_json::from_str::<ClientFrame>(text).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}

#[test]
fn a_file_frame_without_its_fields_is_refused() {
    for text in [
        r#"{"type":"file","ref":"1"}"#,
        r#"{"type":"file","op":"read","path":"a"}"#,
        r#"{"type":"file","ref":"1","op":"chmod","path":"a"}"#,
        r#"{"type":"file","ref":"1","op":"patch","path":"a"}"#,
    ] {
        assert!(serde_json::from_str::<ClientFrame>(text).is_err(), "{text}");
    }
}
