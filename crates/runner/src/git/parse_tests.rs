//! Git's words by example, and with any names.

use proptest::prelude::*;

use super::*;

fn joined(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| [*field, b"\0"].concat()).collect()
}

#[test]
fn a_status_tells_branch_and_entries() {
    let output = joined(&[
        b"# branch.oid 1234",
        b"# branch.head main",
        b"# branch.upstream origin/main",
        b"# branch.ab +2 -1",
        b"1 M. N... 100644 100644 100644 aa bb staged one",
        b"1 .D N... 100644 100644 000000 aa aa gone",
        b"2 R. N... 100644 100644 100644 aa bb R100 new name",
        b"old\nname",
        b"u UU N... 100644 100644 100644 100644 aa bb cc both",
        b"1 .M SCMU 160000 160000 160000 aa aa module",
        b"? \xff\"new",
        b"! ignored",
    ]);
    let status = status(&output, 100);
    assert_eq!(status.head.as_deref(), Some("1234"));
    assert_eq!(status.branch.as_deref(), Some("main"));
    assert_eq!(status.upstream.as_deref(), Some("origin/main"));
    assert_eq!((status.ahead, status.behind), (Some(2), Some(1)));
    let shown: Vec<_> = status
        .entries
        .iter()
        .map(|e| (e.path.as_str(), e.staged, e.unstaged, e.conflicted, e.from.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("staged one", Some(GitChange::Modified), None, false, None),
            ("gone", None, Some(GitChange::Deleted), false, None),
            ("new name", Some(GitChange::Renamed), None, false, Some("old\nname")),
            ("both", None, None, true, None),
            ("module", None, Some(GitChange::Modified), false, None),
            ("\u{fffd}\"new", None, Some(GitChange::Untracked), false, None),
        ]
    );
    assert!(status.entries[5].lossy && !status.entries[4].lossy);
    let module = GitSubmodule { commit_changed: true, has_changes: true, has_untracked: true };
    assert_eq!(status.entries[4].submodule, Some(module));
}

#[test]
fn a_status_before_the_first_commit_and_without_a_branch_says_so() {
    let none = status(b"# branch.oid (initial)\0# branch.head (detached)\0", 9);
    assert_eq!((none.head, none.branch, none.upstream, none.ahead), (None, None, None, None));
}

#[test]
fn entries_have_an_end_and_what_was_cut_is_left_out() {
    let cut = status(b"? a\0? b\0? c\0", 2);
    assert_eq!((cut.entries.len(), cut.truncated), (2, true));
    let cut = status(b"? a\0? b", 2);
    assert_eq!((cut.entries.len(), cut.truncated), (1, false));
    assert_eq!(status(b"2 R. N... 1 1 1 a b R100 new\0", 2).entries, []);
}

#[test]
fn changes_have_their_lines() {
    let output = joined(&[
        b":100644 100644 aa bb M",
        b"a\tb",
        b":100644 100644 aa bb R086",
        b"old",
        b"new",
        b":000000 100644 00 bb A",
        b"image",
        b"3\t1\ta\tb",
        b"1\t0\t",
        b"old",
        b"new",
        b"-\t-\timage",
    ]);
    let (files, truncated) = changes(&output, 9);
    assert!(!truncated);
    let shown: Vec<_> = files
        .iter()
        .map(|f| (f.path.as_str(), f.change, f.from.as_deref(), f.added, f.deleted, f.binary))
        .collect();
    assert_eq!(
        shown,
        [
            ("a\tb", GitChange::Modified, None, Some(3), Some(1), false),
            ("new", GitChange::Renamed, Some("old"), Some(1), Some(0), false),
            ("image", GitChange::Added, None, None, None, true),
        ]
    );
    assert_eq!(changes(&output, 1).0.len(), 1);
    assert!(changes(&output, 1).1);
}

#[test]
fn branches_are_told_and_links_to_them_are_not() {
    let output = b"*\0refs/heads/main\0aa\0origin/main\0ahead 1\x001700000000\0\0first line\n \0refs/remotes/origin/HEAD\0aa\0\0\x001\0refs/remotes/origin/main\0x\n \0refs/remotes/origin/main\0aa\0\0\x001\0\0x\n";
    let branches = branches(output);
    assert_eq!(branches.len(), 2);
    assert_eq!(branches[0].name, "main");
    assert!(branches[0].current && !branches[0].remote);
    assert_eq!(branches[0].upstream.as_deref(), Some("origin/main"));
    assert_eq!(branches[0].track.as_deref(), Some("ahead 1"));
    assert_eq!((branches[0].time, branches[0].subject.as_str()), (1_700_000_000, "first line"));
    assert_eq!((branches[1].name.as_str(), branches[1].remote), ("origin/main", true));
}

#[test]
fn commits_are_told_with_their_words() {
    let output =
        b"aa\0bb cc\0Ann\0a@b\x005\x006\0subject\0body\nmore\n\0bb\0\0Bo\0b@b\x001\x002\0s\0\0";
    let commits = commits(output);
    assert_eq!(commits.len(), 2);
    assert_eq!(commits[0].parents, ["bb", "cc"]);
    assert_eq!((commits[0].authored, commits[0].committed), (5, 6));
    assert_eq!(commits[0].body, "body\nmore");
    assert!(commits[1].parents.is_empty() && commits[1].body.is_empty());
}

#[test]
fn only_names_of_commits_are_refs() {
    for good in
        ["HEAD", "main", "origin/main", "v1.2", "HEAD~3", "HEAD^", "main@{1}", "dépôt", "a+b"]
    {
        assert!(is_ref(good), "{good}");
    }
    let long = "x".repeat(257);
    for bad in
        ["", "-x", "--output=/etc/passwd", "a..b", "^main", "a b", "a:b", "a\nb", "a*", &long]
    {
        assert!(!is_ref(bad), "{bad}");
    }
}

#[test]
fn a_complaint_is_told_by_its_end() {
    assert_eq!(last_lines(b"fatal: no\n", 99), "fatal: no");
    assert_eq!(last_lines("aé".as_bytes(), 1), "");
}

proptest! {
    #[test]
    fn any_name_is_read_as_it_is(names in prop::collection::vec("[^\0]{1,12}", 0..6)) {
        let entries: Vec<Vec<u8>> = names.iter().map(|name| format!("? {name}").into_bytes()).collect();
        let fields: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let read: Vec<String> = status(&joined(&fields), 99).entries.into_iter().map(|e| e.path).collect();
        prop_assert_eq!(&read, &names);
        let mut raw: Vec<Vec<u8>> = Vec::new();
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        for name in &distinct {
            raw.push(b":100644 100644 a b M".to_vec());
            raw.push(name.as_bytes().to_vec());
        }
        for name in &distinct {
            raw.push(format!("1\t2\t{name}").into_bytes());
        }
        let fields: Vec<&[u8]> = raw.iter().map(Vec::as_slice).collect();
        let (files, _) = changes(&joined(&fields), 99);
        prop_assert_eq!(files.len(), distinct.len());
        for (file, name) in files.iter().zip(distinct) {
            prop_assert_eq!(&file.path, name);
            prop_assert_eq!((file.added, file.deleted), (Some(1), Some(2)));
        }
    }

    #[test]
    fn no_output_breaks_the_reading(output in prop::collection::vec(prop_oneof![
        Just(b'\0'), Just(b':'), Just(b' '), Just(b'\t'), Just(b'1'), Just(b'2'), Just(b'R'), Just(b'u'), Just(b'#'), any::<u8>(),
    ], 0..80)) {
        status(&output, 9);
        changes(&output, 9);
        branches(&output);
        commits(&output);
        names(&output, 9);
    }
}
