//! Makes what the page loads and this repository doesn't hold: the bundles of its libraries, and every static file packed.
//!
//! A machine with cargo alone gets the whole page too: without Node the terminal and the editor are plainer, and the server
//! says so at its start. `STAITHE_WEB_BUILD=skip` leaves the libraries out, `require` fails where they can't be had.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use data_encoding::HEXLOWER;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// What the bundles are made of, beside `web/src`.
const INPUTS: [&str; 3] = ["package.json", "package-lock.json", "build.mjs"];
/// For each program that is run; a registry that doesn't answer must not hold a build up.
const LIMIT: Duration = Duration::from_mins(4);
/// Smaller files are not worth a second form.
const LEAST_PACKED: usize = 256;

/// Writes `out/web.rs` with two sorted tables: `BUNDLES`, name, SHA-256 and bytes; and `PACKED`, static files and bundles as
/// gzip, by the SHA-256 of what they unpack to. With `MISSING`, why there are no bundles.
pub(crate) fn embed(root: &Path, out: &Path, target: &Path) {
    println!("cargo::rerun-if-changed={}", root.join("web").display());
    println!("cargo::rerun-if-env-changed=STAITHE_WEB_BUILD");
    let packed = out.join("packed");
    drop(fs::remove_dir_all(&packed));
    fs::create_dir_all(&packed).expect("OUT_DIR can be written to");
    let wish = env::var("STAITHE_WEB_BUILD").unwrap_or_default();
    let made = match wish.as_str() {
        "skip" => Err("STAITHE_WEB_BUILD=skip".to_owned()),
        _ => bundles(root, target),
    };
    let (web, missing) = match made {
        Ok(web) => (files(&web), None),
        Err(why) if wish == "require" => panic!("the page's libraries can't be built: {why}"),
        Err(why) => {
            println!(
                "cargo::warning=the page's terminal and editor are plainer in this build: {why}"
            );
            (Vec::new(), Some(why))
        }
    };
    let mut text = String::from("pub(super) static BUNDLES: &[(&str, &str, &[u8])] = &[\n");
    for file in &web {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let hash = hash(&fs::read(file).expect("a bundle can be read"));
        let file = quoted(file);
        writeln!(text, "    ({name:?}, {hash:?}, include_bytes!({file})),").expect("into memory");
    }
    text.push_str("];\npub(super) static PACKED: &[(&str, &[u8])] = &[\n");
    let all = files(&root.join("static")).into_iter().chain(web);
    let small: BTreeMap<String, PathBuf> = all.filter_map(|file| pack(&file, &packed)).collect();
    for (hash, file) in small {
        let file = quoted(&file);
        writeln!(text, "    ({hash:?}, include_bytes!({file})),").expect("into memory");
    }
    writeln!(text, "];\npub(super) static MISSING: Option<&str> = {missing:?};")
        .expect("into memory");
    fs::write(out.join("web.rs"), text).expect("OUT_DIR can be written to");
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The folder with the bundles, which is made once for what it is made of.
fn bundles(root: &Path, target: &Path) -> Result<PathBuf, String> {
    let from = root.join("web");
    let sources = files(&from.join("src"));
    let inputs: Vec<PathBuf> = INPUTS.iter().map(|name| from.join(name)).chain(sources).collect();
    let mut hasher = Sha256::new();
    for input in &inputs {
        let bytes = fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
        hasher.update(input.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    }
    let work = target.join("web").join(HEXLOWER.encode(&hasher.finalize()[..8]));
    let made = work.join("made");
    if made.exists() {
        return Ok(made);
    }
    for input in &inputs {
        let to = work.join(input.strip_prefix(&from).expect("it lies there"));
        let folder = to.parent().expect("it is in a folder");
        let copied = fs::create_dir_all(folder).and_then(|()| fs::copy(input, &to));
        copied.map_err(|error| format!("{}: {error}", to.display()))?;
    }
    let quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"];
    run(Command::new("npm").arg("ci").args(quiet).current_dir(&work))?;
    let making = work.join("making");
    drop(fs::remove_dir_all(&making));
    run(Command::new("node").arg("build.mjs").arg(&making).current_dir(&work))?;
    // At once or not at all: a build that was cut off leaves nothing that looks whole.
    fs::rename(&making, &made).map_err(|error| format!("{}: {error}", made.display()))?;
    drop(fs::remove_dir_all(work.join("node_modules")));
    Ok(made)
}

/// Runs a program within its time; what it said when it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        format!("{name} can't be run ({error}); Node 20 or newer and npm make them")
    })?;
    let mut pipe = child.stderr.take().expect("it is piped");
    let (ended, end) = mpsc::channel();
    // What it says ends with it.
    thread::spawn(move || {
        let mut text = String::new();
        drop(pipe.read_to_string(&mut text));
        drop(ended.send(text));
    });
    let Ok(said) = end.recv_timeout(LIMIT) else {
        drop(child.kill());
        drop(child.wait());
        return Err(format!("{name} did not end within {} s", LIMIT.as_secs()));
    };
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status}): {last}")) }
}

/// As a text of Rust.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_str().expect("a path in UTF-8"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    entries.sort();
    for path in entries {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// Writes a file as gzip, where that is worth it: the hash of its content, and where it is.
fn pack(file: &Path, packed: &Path) -> Option<(String, PathBuf)> {
    let bytes = fs::read(file).expect("a static file can be read");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let written = gzip.write_all(&bytes).and_then(|()| gzip.finish());
    let small = written.expect("packing into memory");
    if bytes.len() < LEAST_PACKED || small.len() >= bytes.len() {
        return None;
    }
    let hash = hash(&bytes);
    let to = packed.join(&hash);
    fs::write(&to, small).expect("OUT_DIR can be written to");
    Some((hash, to))
}
