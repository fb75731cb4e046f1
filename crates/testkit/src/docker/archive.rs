//! Requests about a container's files: what was put in is there, in the container or in its volumes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::{
    answers::{Answer, Outcome, Refused, bytes, empty, refused},
    routes::Recorded,
    world::World,
};

/// Tar's unit.
const BLOCK: usize = 512;
/// The daemon's sign of a folder.
const FOLDER: u32 = 1 << 31;

impl World {
    pub(super) fn put_archive(&mut self, asked: &Recorded, body: &Bytes) -> Outcome {
        let base = asked.word("path").trim_end_matches('/').to_owned();
        self.container(&asked.id)?;
        let Some(entries) = entries(body) else {
            return refused(400, "archive/tar: invalid tar header");
        };
        for (name, content) in entries {
            let path = format!("{base}/{}", name.trim_start_matches("./"));
            let (files, path) = self.files(&asked.id, &path)?;
            files.insert(path, content);
        }
        Ok(empty(200))
    }

    /// One file as a tar of one entry; `HEAD` tells about it only.
    pub(super) fn get_archive(&mut self, asked: &Recorded) -> Outcome {
        let wanted = asked.word("path").to_owned();
        let (files, path) = self.files(&asked.id, &wanted)?;
        let inside = format!("{}/", path.trim_end_matches('/'));
        if !files.contains_key(&path) && files.keys().any(|file| file.starts_with(&inside)) {
            return Ok(stat_of(empty(200), &wanted, 4096, FOLDER | 0o755));
        }
        let Some(content) = files.get(&path) else {
            let id = &asked.id;
            return refused(404, format!("Could not find the file {wanted} in container {id}"));
        };
        let name = wanted.rsplit('/').next().unwrap_or_default();
        let answer = bytes(200, "application/x-tar", tar(name, content));
        Ok(stat_of(answer, name, content.len(), 0o755))
    }

    /// Where a path of a container lies: in a volume that is mounted there, or in itself.
    fn files(
        &mut self,
        key: &str,
        path: &str,
    ) -> Result<(&mut BTreeMap<String, Bytes>, String), Refused> {
        let id = self.id_of(key)?;
        let mounts = self.containers[&id].mounts().into_iter();
        let volume =
            mounts.filter(|(kind, ..)| kind == "volume").find_map(|(_, source, target, _)| {
                let inside = path.strip_prefix(target.trim_end_matches('/'))?;
                (inside.is_empty() || inside.starts_with('/')).then(|| (source, inside.to_owned()))
            });
        if let Some((name, inside)) = volume
            && let Some(volume) = self.volumes.get_mut(&name)
        {
            return Ok((&mut volume.files, inside));
        }
        Ok((&mut self.containers.get_mut(&id).expect("it was found").files, path.to_owned()))
    }
}

/// An answer with what the daemon tells of a file beside its content.
fn stat_of(mut answer: Answer, name: &str, size: usize, mode: u32) -> Answer {
    let stat = json!({
        "name": name, "size": size, "mode": mode, "mtime": "2024-01-01T00:00:00Z", "linkTarget": "",
    });
    let stat = base64(stat.to_string().as_bytes()).parse().expect("base64 is a plain header");
    answer.headers_mut().insert("X-Docker-Container-Path-Stat", stat);
    answer
}

/// The plain files of a tar.
pub(super) fn entries(tar: &Bytes) -> Option<Vec<(String, Bytes)>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = tar.get(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let field = |from: usize, length: usize| {
            let field = &header[from..from + length];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let size = usize::from_str_radix(&field(124, 12), 8).ok()?;
        let from = at + BLOCK;
        if from + size > tar.len() {
            return None;
        }
        if matches!(header[156], b'0' | 0) {
            found.push((field(0, 100), tar.slice(from..from + size)));
        }
        at = from + size.div_ceil(BLOCK) * BLOCK;
    }
    Some(found)
}

/// A tar of one plain file.
pub(super) fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    for (at, value) in [(100, "0000755"), (108, "0000000"), (116, "0000000"), (136, "00000000000")]
    {
        put(at, value);
    }
    put(124, &format!("{:011o}", content.len()));
    put(148, "        "); // the sum is made as if it were blank
    put(156, "0");
    put(257, "ustar\u{0}00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    tar
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let all = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(all >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let packed = Bytes::from(tar("a-file", b"content"));
        assert_eq!(entries(&packed), Some(vec![("a-file".into(), Bytes::from_static(b"content"))]));
        assert_eq!(entries(&packed.slice(..515)), None, "it is cut off");
        assert_eq!(entries(&Bytes::from_static(&[b'x'; 600])), None);
    }

    #[test]
    fn base64_fills_up() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
