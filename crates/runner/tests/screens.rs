//! A replay shows what the program's own output shows, in an emulator of another make.

mod emulator;

use emulator::Emulator;
use proptest::prelude::*;
use staithe_protocol::terminal::TerminalSize;
use staithe_runner::terminals::screen::Screen;

const SIZE: TerminalSize = TerminalSize { cols: 20, rows: 6 };

/// Two emulators: one has seen all of `output`, the other what a client gets that joins after `cut`
/// bytes.
fn both(output: &[u8], cut: usize) -> (Emulator, Emulator) {
    let mut first = Emulator::new(SIZE.cols, SIZE.rows);
    first.write(output);
    let mut screen = Screen::new(SIZE).expect("a size");
    assert_eq!(screen.follow(&output[..cut]), cut);
    let begun = screen.begun().map_or(cut, |begun| usize::try_from(begun).expect("small"));
    let mut second = Emulator::new(SIZE.cols, SIZE.rows);
    second.write(b"\x1b[?1049h\x1b[31mwhat was there before");
    second.write(&screen.replay(&output[begun..cut]));
    second.write(&output[cut..]);
    (first, second)
}

#[track_caller]
fn check(output: &str) {
    for cut in 0..=output.len() {
        let (first, second) = both(output.as_bytes(), cut);
        assert_eq!(second.state(), first.state(), "{output:?} cut at {cut}");
    }
}

#[test]
fn colours_and_the_cursor_are_as_they_were() {
    check(
        "one\r\n\x1b[1;31mtwo\x1b[0m\r\n\x1b[48;5;22m three \x1b[38;2;1;2;3mfour\x1b[2;5H\x1b[?25l",
    );
    check("\x1b[3;4;7;9mall\x1b[22m\x1b[2mfaint\x1b[44m\x1b[K\x1b[0m");
    check("wide \u{6f22}\u{5b57} \u{1f600}\r\nno\u{e9}l");
    check("to the edge of the ro|and on");
    check("to the edge of the r|");
}

#[test]
fn the_other_screen_hides_the_first_one_and_gives_it_back() {
    check("shell\r\n$ \x1b[33mvi\x1b[?1049h\x1b[H\x1b[2J\x1b[0;44mpicture\x1b[3;3H");
    check("shell\r\n$ vi\x1b[?1049h\x1b[Hpicture\x1b[?1049l and back");
    check("\x1b[?1049h\x1b[Hat once\x1b[?1049l.");
    check("\x1b[4;7H\x1b[?1049hkeeps the cursor\x1b[?1049l.");
    check("\x1b[3;3Ha\x1b[2Ab\x1b[3Bc\x1b[Ed\x1b[2Fe\x1b[Df");
    check("a\x1b7b\x1b[5;5Hc\x1b8d");
}

#[test]
fn the_region_that_scrolls_stays_the_same() {
    check("1\r\n2\r\n3\r\n4\r\n5\r\n6\x1b[2;4r\x1b[4;1Hnew\r\nnewer\x1b[2;1H\x1bMabove");
    check("\x1b[2;4r\x1b[?6h\x1b[1;1Horigin\r\n\n\n\nx\x1b[?6l\x1b[Hy");
    check("\x1b[r1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7");
}

#[test]
fn modes_tabs_and_the_title_are_set() {
    check("\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?1004h\x1b[?1h\x1b=\x1b]2;vim: x\x07");
    check("\x1b[?7lnever wraps at the end of the row\r\x1b[?7h.");
    check("\x1b[3g\x1b[1;5H\x1bH\r\tx\x1b[4hi\x1b[4l");
    check("\x1b(0lqqk\x1b(B plain \x1b)0\x0elqk\x0f");
    check("\x1b[6 q\x1b]0;title\x1b\\");
}

#[test]
fn a_sequence_or_a_character_may_be_cut_anywhere() {
    check("\x1b[1;32mgr\u{fc}n\x1b]2;title\x1b\\\x1bP1$r0m\x1b\\\x1b[38;2;10;20;30m\u{2713}");
}

/// What programs write, in any order; what changes a row comes when the cursor stands in it, not behind
/// its end, where emulators differ.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,12}",
        Just("\r\n".to_owned()),
        (1..7_u8, 1..21_u8).prop_map(|(row, column)| format!("\x1b[{row};{column}H")),
        (0..8_u8).prop_map(|colour| format!("\x1b[3{colour}m")),
        (0..8_u8).prop_map(|colour| format!("\x1b[4{colour}m")),
        prop::sample::select(vec![
            "\x1b[0m",
            "\x1b[1m",
            "\x1b[7m",
            "\x1b[7G\x1b[K",
            "\x1b[7G\x1b[1K",
            "\x1b[7G\x1b[J",
            "\x1b[2J",
            "\x1b[7G\x1bM",
            "\x1b[7G\x1b7",
            "\x1b8",
            "\x1b[?25l",
            "\x1b[?25h",
            "\x1b[7G\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b[r\x1b[2;3H\x1b[L",
            "\x1b[r\x1b[5;3H\x1b[2M",
            "\x1b[7G\x1b[2P",
            "\x1b[7G\x1b[3@",
            "\x1b[7G\x1b[4X",
            "\x1b[S",
            "\x1b[T",
            "\x1b[7G\x1b[3C",
            "\x1b[7G\x1b[D",
            "\x1b[7G\x08",
            "\x1b[7G\t",
            "\x1b[?2004h",
            "\x1b[?1h",
            "\x1b[?1l",
            "\x1b=",
            "\x1b>",
            "\x1b[?1006h",
            "\x1b[?1000h",
            "\x1b[?1000l",
            "\x1b]2;t\x07",
            "\x1b[7G\x1b[3d",
            "\x1b[5G",
        ])
        .prop_map(str::to_owned),
        (1..4_u8, 4..7_u8).prop_map(|(top, bottom)| format!("\x1b[{top};{bottom}r")),
    ]
}

/// Only what goes to the other screen from the first one, and back: emulators differ in the rest.
fn between_screens(mut pieces: Vec<String>) -> Vec<String> {
    let mut other = false;
    pieces.retain(|piece| match piece.as_str() {
        "\x1b[7G\x1b[?1049h" => !std::mem::replace(&mut other, true),
        "\x1b[?1049l" => std::mem::take(&mut other),
        _ => true,
    });
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn whenever_a_client_joins_it_sees_what_the_first_one_sees(
        pieces in prop::collection::vec(piece(), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let output = between_screens(pieces).concat();
        let (first, second) = both(output.as_bytes(), cut.index(output.len() + 1));
        prop_assert_eq!(second.state(), first.state());
    }
}
