//! Which server a command uses, and who is shown a token.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use staithe_testkit::FakeModel;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    bench::{bash, bench, command, configuration, done, ended, err, finish},
    common::{PROMPT, Server, eventually, processes},
};

#[tokio::test]
async fn without_a_server_it_says_so() {
    let output =
        done(&mut command(&["run", "--url", "http://127.0.0.1:1", "--token", "x", "hello"])).await;
    ended(&output, 69);
    assert!(err(&output).contains("no server answers at http://127.0.0.1:1"), "{}", err(&output));
    ended(&done(&mut command(&["run", "--url", "ftp://x", "--token", "x", "hello"])).await, 64);
    ended(&done(&mut command(&["run"])).await, 2);
    ended(&done(&mut command(&["run", "--limit-time", "soon", "hello"])).await, 2);
}

#[tokio::test]
async fn without_a_server_named_it_is_one_itself_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    model.script([
        bash("echo hello > sea.txt"),
        finish("Written."),
        bash("cat sea.txt"),
        finish("Read."),
    ]);
    let config = configuration(dir.path(), &model);
    let data = dir.path().join("data");
    let own = |words: &[&str]| {
        let mut command = command(words);
        let place = ["--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
        command.args(place).args(["--engine", "local"]);
        command
    };
    let dir_of_person = tempfile::tempdir().unwrap();
    let said = ended(&done(&mut own(&["run", "write it"])).await, 0);
    let page = said.lines().find_map(|line| line.split_once("the page: ")).unwrap().1;
    assert!(page.starts_with("http://127.0.0.1:") && page.contains("/login?token="), "{page}");
    let address = page.strip_prefix("http://").unwrap().split('/').next().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "it has ended");
    assert!(!data.join("server.json").exists(), "and left no word of itself");
    assert!(fs::read_to_string(data.join("run.log")).unwrap().contains("ended"));
    let id = said.lines().find_map(|line| line.strip_prefix("· session ")).unwrap();
    let said = ended(&done(&mut own(&["run", "--session", id, "read it"])).await, 0);
    assert!(said.contains("  │ hello\n") && said.contains("✓ finished\nRead.\n"), "{said}");
    // What it says to do is what does it, as it stands.
    let hint =
        |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let shell = |line: String| {
        let dir = Path::new(env!("CARGO_BIN_EXE_staithe")).parent().unwrap();
        let mut shell = Command::new("sh");
        let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
        shell.args(["-c", &line]).env("PATH", path).current_dir(dir_of_person.path());
        for name in ["STAITHE_URL", "STAITHE_TOKEN", "STAITHE_CONFIG"] {
            shell.env_remove(name);
        }
        shell
    };
    ended(&done(&mut shell(hint("files:  "))).await, 0);
    let copied = dir_of_person.path().join("workspace/sea.txt");
    assert_eq!(fs::read_to_string(copied).unwrap(), "hello\n");
    model.script([finish("Nothing more.")]);
    let said = ended(&done(&mut shell(hint("go on:  "))).await, 0);
    assert!(said.contains("> …\n") && said.contains("Nothing more."), "{said}");
    let exported = ended(&done(&mut own(&["session", "export", id])).await, 0);
    assert!(exported.starts_with("{\"trajectory\":[{\"id\":0,"), "{exported}");
    let sessions = BTreeSet::from([id.to_owned()]);
    let gone = || processes::of_sandboxes(&data, &sessions, std::process::id()).is_empty();
    assert!(eventually(PROMPT, gone).await, "its sandboxes have ended, too");
}

/// Another program where a server was: it answers all that is asked, and remembers it.
async fn other_program() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let into = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]).to_lowercase());
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (address, heard)
}

#[tokio::test]
async fn no_token_is_shown_to_another_program_on_the_port_of_a_server_that_was() {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    model.script([finish("Done.")]);
    let config = configuration(dir.path(), &model);
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut server = Server::start(&data).await;
    let (address, heard) = other_program().await;
    let word = json!({ "url": format!("http://{address}"), "kid": "x", "pid": 1 }).to_string();
    let place = ["--data-dir", data.to_str().unwrap()];
    // While a server lives whose word is another's, and after it was killed.
    fs::write(data.join("server.json"), &word).unwrap();
    let mut admin = command(&["admin", "sessions"]);
    let output = done(admin.args(place)).await;
    assert!(!output.status.success());
    assert!(err(&output).contains("is another program"), "{}", err(&output));
    assert!(heard.lock().unwrap().contains("/health?nonce="), "it was asked to prove itself");
    server.kill9();
    fs::write(data.join("server.json"), &word).unwrap();
    let output = done(command(&["admin", "sessions"]).args(place)).await;
    assert!(err(&output).contains("no server runs on"), "{}", err(&output));
    let mut run =
        command(&["run", "--config", config.to_str().unwrap(), "--engine", "local", "do it"]);
    let said = ended(&done(run.args(place)).await, 0);
    assert!(said.contains("this command is the server"), "{said}");
    let url = format!("http://{address}");
    for words in [
        vec!["run", "--url", &url, "do it"],
        vec!["session", "export", "--url", &url, "00000000000000000000000000000000"],
        vec!["cp", "--url", &url, "00000000000000000000000000000000:a", "."],
    ] {
        let output = done(command(&words).args(place)).await;
        ended(&output, 64);
        assert!(err(&output).contains("needs a token: give one by --token"), "{}", err(&output));
    }
    let heard = heard.lock().unwrap().clone();
    assert!(!heard.contains("authorization") && !heard.contains("bearer"), "{heard}");
}

/// A certificate of its own for `localhost`, and its key, as files in a folder.
fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let [conf, cert, key] = ["openssl.cnf", "cert.pem", "key.pem"].map(|name| dir.join(name));
    let text = "[req]\ndistinguished_name = name\nx509_extensions = ext\nprompt = no\n[name]\nCN = localhost\n\
                [ext]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:localhost\n";
    fs::write(&conf, text).unwrap();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-config"])
        .arg(&conf)
        .arg("-out")
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is there: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (cert, key)
}

/// A proxy with TLS before a server; its port.
async fn with_tls(server: String, cert: &Path, key: &Path) -> u16 {
    let certs = vec![CertificateDer::from_pem_file(cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut ahead = TcpStream::connect(&server).await.unwrap();
                drop(copy_bidirectional(&mut stream, &mut ahead).await);
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_behind_https_is_used_and_one_that_is_not_trusted_is_shown_nothing() {
    let bench = bench([bash("echo hello > sea.txt"), finish("Written.")]).await;
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(dir.path());
    let port = with_tls(bench.server.address().to_owned(), &cert, &key).await;
    let url = format!("https://localhost:{port}");
    let secure = |words: &[&str]| {
        let mut command = bench.command(words);
        command.env("STAITHE_URL", &url).env("SSL_CERT_FILE", &cert).current_dir(dir.path());
        command
    };
    let said = ended(&done(&mut secure(&["run", "--keep", "write it"])).await, 0);
    assert!(said.contains("✓ finished\nWritten."), "{said}");
    let id = bench.session().await;
    ended(&done(&mut secure(&["cp", &format!("{id}:sea.txt"), "."])).await, 0);
    assert_eq!(fs::read_to_string(dir.path().join("sea.txt")).unwrap(), "hello\n");
    let said = ended(&done(&mut secure(&["admin", "sessions"])).await, 0);
    assert!(said.contains(&id), "{said}");
    let other = tempfile::tempdir().unwrap();
    let (stranger, _) = certificate(other.path());
    let mut distrusts = secure(&["run", "write it"]);
    let output = done(distrusts.env("SSL_CERT_FILE", stranger)).await;
    ended(&output, 69);
    assert!(err(&output).contains("certificate"), "{}", err(&output));
}

#[tokio::test]
async fn for_the_server_of_the_data_directory_a_token_is_signed_by_any_name_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let place = ["--data-dir", dir.path().to_str().unwrap()];
    for url in [None, Some(server.url.clone()), Some(format!("http://localhost:{port}/"))] {
        let mut admin = command(&["admin", "sessions"]);
        admin.args(place);
        if let Some(url) = &url {
            admin.args(["--url", url]);
        }
        let said = ended(&done(&mut admin).await, 0);
        assert!(said.contains("0 in all"), "{url:?}: {said}");
    }
}
