//! 4 GiB up and down, each with a cut in the middle, in flat memory.

use http_body_util::BodyExt as _;
use hyper::{Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    common::{Server, processes},
    transfer::{create, header, offset, patch, stage},
};

const SIZE: u64 = 4 * 1024 * 1024 * 1024;
/// What is written and compared at once, in bytes.
const BLOCK: usize = 1024 * 1024;
/// What either program may need above what it had, in bytes.
const MORE: u64 = 48 * 1024 * 1024;

/// Content that tells where it belongs: every 8 bytes hold their place.
struct Content {
    block: Vec<u8>,
}

impl Content {
    fn new() -> Self {
        Self { block: vec![0; BLOCK] }
    }

    /// The block that begins at this place, a multiple of [`BLOCK`].
    fn at(&mut self, place: u64) -> &[u8] {
        // Each page tells its place; the rest is zeros, which is quick to make in a debug build.
        for (page, bytes) in (place / 4096..).zip(self.block.chunks_exact_mut(4096)) {
            bytes[..8].copy_from_slice(&page.to_le_bytes());
        }
        &self.block
    }
}

/// Writes content from a place to an end.
async fn write(stream: &mut TcpStream, from: u64, to: u64) {
    let mut content = Content::new();
    let mut place = from;
    while place < to {
        let begin = place - place % BLOCK as u64;
        let skipped = usize::try_from(place - begin).unwrap();
        let block = content.at(begin);
        let end = usize::try_from((to - begin).min(BLOCK as u64)).unwrap();
        stream.write_all(&block[skipped..end]).await.unwrap();
        place = begin + end as u64;
    }
}

/// Reads the file from a place and compares; stops (cuts) at `to`.
async fn read(server: &Server, file: &str, tag: &str, from: u64, to: u64) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(file)
        .header("host", server.address())
        .header("authorization", format!("Bearer {}", server.token))
        .header("range", format!("bytes={from}-"))
        .header("if-range", tag);
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 206);
    let mut body = response.into_body();
    let mut content = Content::new();
    let mut place = from;
    while place < to {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let begin = place - place % BLOCK as u64;
            let skipped = usize::try_from(place - begin).unwrap();
            let block = content.at(begin);
            let length = rest.len().min(BLOCK - skipped);
            assert!(rest[..length] == block[skipped..skipped + length], "at {place}");
            rest = &rest[length..];
            place += length as u64;
        }
    }
    connection.abort();
}

#[tokio::test]
async fn four_gibibytes_go_up_and_down_with_a_cut_in_the_middle_of_each() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id) = stage(dir.path()).await;
    let sandboxes = processes::of_sandboxes(dir.path(), &[id.clone()].into(), server.pid());
    let watched: Vec<u32> = std::iter::once(server.pid()).chain(sandboxes).collect();
    let resident = || watched.iter().map(|pid| processes::resident(*pid)).collect::<Vec<_>>();
    let before = resident();
    let flat = |when: &str| {
        for ((pid, before), now) in watched.iter().zip(&before).zip(resident()) {
            let command = processes::command(*pid);
            assert!(now < before + MORE, "{when}: {command} grew from {before} to {now}");
        }
    };
    let upload = create(&server, &id, "large", SIZE).await;
    let mut stream = patch(&server, &upload, 0, SIZE).await;
    write(&mut stream, 0, SIZE / 2 + 12_345).await;
    flat("in the middle of the upload");
    drop(stream);
    let came = offset(&server, &upload).await;
    assert!(came > SIZE / 4 && came <= SIZE / 2 + 12_345, "{came}");
    let mut stream = patch(&server, &upload, came, SIZE - came).await;
    write(&mut stream, came, SIZE).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    flat("after the upload");

    let file = format!("/api/sessions/{id}/files/large");
    let head = server.request(Method::HEAD, &file, &[], vec![]).await;
    assert_eq!(header(&head, "content-length"), SIZE.to_string());
    let tag = header(&head, "etag");
    read(&server, &file, &tag, 0, SIZE / 2).await;
    flat("in the middle of the download");
    read(&server, &file, &tag, SIZE / 2, SIZE).await;
    flat("after the download");
}
