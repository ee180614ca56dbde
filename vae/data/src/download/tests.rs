//! Downloads from a local server, which can cut connections, send wrong answers and ignore ranges.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::*;
use crate::archives::Checksum;

/// How the server behaves.
#[derive(Clone, Copy)]
struct Behaviour {
    /// The number of bytes of a body after which it closes the connection.
    cut: usize,
    /// Whether it supports range requests.
    ranges: bool,
    /// The content type in its answers.
    kind: &'static str,
    /// The status of an answer with the whole file.
    status: &'static str,
    /// The address to which it redirects requests for `/set.bin`.
    moved: Option<&'static str>,
}

const NORMAL: Behaviour =
    Behaviour { cut: usize::MAX, ranges: true, kind: "application/x-gzip", status: "200 OK", moved: None };

/// A local server, and the first byte that each request asked for.
struct Server {
    address: String,
    starts: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    /// Serves `body` to every request, for as long as the test runs.
    fn start(body: &[u8], behaviour: Behaviour) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/set.bin", listener.local_addr().unwrap());
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (seen, body) = (starts.clone(), body.to_vec());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &body, behaviour, &seen);
            }
        });
        Server { address, starts }
    }

    fn starts(&self) -> Vec<usize> {
        self.starts.lock().unwrap().clone()
    }

    fn archive<'a>(&'a self, checksum: &'a str, size: usize) -> Archive<'a> {
        Archive {
            url: &self.address,
            folder: "a/b",
            gives: &["set.bin"],
            checksum: if checksum.len() == 64 { Checksum::Sha256(checksum) } else { Checksum::Md5(checksum) },
            size: size as u64,
            pack: Pack::File,
        }
    }
}

/// Answers one request, and records the first byte that it asked for.
fn answer(mut stream: TcpStream, body: &[u8], behaviour: Behaviour, starts: &Mutex<Vec<usize>>) {
    let head: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(std::result::Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_ascii_lowercase())
        .collect();
    if let Some(place) = behaviour.moved.filter(|_| head[0].starts_with("get /set.bin ")) {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 5\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(format!("{head}moved").as_bytes());
        return;
    }
    let range = head.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    starts.lock().unwrap().push(range.unwrap_or(0));
    let (status, first) = match range {
        Some(start) if behaviour.ranges && start < body.len() => ("206 Partial Content", start),
        Some(_) if behaviour.ranges => ("416 Range Not Satisfiable", body.len()),
        _ => (behaviour.status, 0),
    };
    let rest = &body[first..];
    let range = format!("content-range: bytes {first}-{}/{}\r\n", body.len() - 1, body.len());
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: {}\r\n{}connection: close\r\n\r\n",
        rest.len(),
        behaviour.kind,
        if status.starts_with("206") { &range } else { "" },
    );
    let _ = stream.write_all(&rest[..rest.len().min(behaviour.cut)]);
}

fn body() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    vae_core::hex(Sha256::digest(bytes))
}

/// Downloads into a folder, and returns the last progress in bytes.
fn get(archive: &Archive<'_>, dir: &Path) -> Result<u64> {
    let mut last = 0;
    download(&[*archive], dir, &mut |progress| last = progress.done)?;
    Ok(last)
}

fn refused(archive: &Archive<'_>, dir: &Path, says: &str) {
    let message = get(archive, dir).expect_err(says).to_string();
    assert!(message.contains(says) && message.contains(archive.url) && !message.contains('\n'), "{says}: {message}");
    assert!(!dir.join("a/b/set.bin").exists());
}

#[test]
fn a_file_arrives_once() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let (server, sum) = (Server::start(&body, NORMAL), sha256(&body));
    let archive = server.archive(&sum, body.len());
    assert_eq!(get(&archive, dir.path()).unwrap(), body.len() as u64);
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
    assert!(!dir.path().join("a/b/set.bin.part").exists());
    let again = get(&archive, dir.path()).unwrap_err().to_string();
    assert!(again.contains("set.bin exist, but are incomplete"), "{again}");
    assert_eq!(server.starts(), [0]);
}

#[test]
fn a_cut_connection_is_resumed() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let (server, sum) = (Server::start(&body, Behaviour { cut: 110_000, ..NORMAL }), sha256(&body));
    get(&server.archive(&sum, 1 << 20), dir.path()).unwrap(); // its exact size is unknown
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
    assert_eq!(server.starts(), [0, 110_000, 220_000]);
}

#[test]
fn the_next_run_continues_a_partial_file() {
    let (body, sum) = (body(), sha256(&body()));
    for (have, size, starts) in [
        (70_000, body.len(), &[70_000][..]),
        (body.len(), body.len(), &[]),        // complete: there is no request
        (body.len(), 1 << 20, &[body.len()]), // complete: the server answers 416
    ] {
        let (dir, server) = (tempfile::tempdir().unwrap(), Server::start(&body, NORMAL));
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/set.bin.part"), &body[..have]).unwrap();
        get(&server.archive(&sum, size), dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
        assert_eq!(server.starts(), starts);
    }
}

#[test]
fn a_server_without_ranges_starts_over() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let (server, sum) = (Server::start(&body, Behaviour { ranges: false, ..NORMAL }), sha256(&body));
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::write(dir.path().join("a/b/set.bin.part"), &body[..70_000]).unwrap();
    get(&server.archive(&sum, body.len()), dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);

    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&body, Behaviour { ranges: false, cut: 50_000, ..NORMAL });
    refused(&server.archive(&sum, body.len()), dir.path(), "cut off after 50000 bytes");
    assert_eq!(server.starts(), [0, 50_000, 50_000, 50_000]); // three attempts without new bytes
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin.part")).unwrap(), body[..50_000]);
}

#[test]
fn a_wrong_checksum_removes_the_file() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let server = Server::start(&body, NORMAL);
    refused(&server.archive(&sha256(b"other"), body.len()), dir.path(), "has the SHA-256");
    assert!(!dir.path().join("a/b/set.bin.part").exists());
    refused(&server.archive("5eb63bbbe01eeed093cb22bb8f5acdc3", body.len()), dir.path(), "has the MD5");
    let server = Server::start(b"hello world", NORMAL);
    get(&server.archive("5eb63bbbe01eeed093cb22bb8f5acdc3", 11), dir.path()).unwrap(); // the MD5 of this text
}

#[test]
fn a_response_that_is_no_archive_is_named_and_not_kept() {
    let page = b"\n<!DOCTYPE html><html>Please log in</html>";
    let sum = sha256(page);
    for (body, behaviour, size, says) in [
        (&page[..], NORMAL, 100, "is a web page, not the archive"),
        (b"Moved", Behaviour { kind: "text/html; charset=utf-8", ..NORMAL }, 100, "is a web page, not the archive"),
        (b"no", Behaviour { status: "404 Not Found", ..NORMAL }, 100, "answers with status 404"),
        (b"no", Behaviour { status: "416 Range Not Satisfiable", ..NORMAL }, 100, "answers with status 416"),
        (b"no", Behaviour { status: "300 Multiple Choices", ..NORMAL }, 100, "answers with status 300"),
        (&[7; 200], NORMAL, 100, "longer than the 100 bytes"),
    ] {
        let (dir, server) = (tempfile::tempdir().unwrap(), Server::start(body, behaviour));
        refused(&server.archive(&sum, size), dir.path(), says);
        assert!(!dir.path().join("a").exists(), "{says}");
    }
}

#[test]
fn an_unreachable_server_fails_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/set.bin", listener.local_addr().unwrap());
    drop(listener);
    let sum = sha256(b"");
    let server = Server { address: url, starts: Arc::default() };
    refused(&server.archive(&sum, 9), tempfile::tempdir().unwrap().path(), "cannot be reached");
}

#[test]
fn a_redirection_is_followed_but_not_to_a_local_file() {
    let (body, dir) = (body(), tempfile::tempdir().unwrap());
    let sum = sha256(&body);
    let server = Server::start(&body, Behaviour { moved: Some("/elsewhere.bin"), cut: 200_000, ..NORMAL });
    get(&server.archive(&sum, body.len()), dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("a/b/set.bin")).unwrap(), body);
    assert_eq!(server.starts(), [0, 200_000]);

    let (place, dir) = (concat!("file://", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), tempfile::tempdir().unwrap());
    let server = Server::start(&body, Behaviour { moved: Some(place), ..NORMAL });
    refused(&server.archive(&sum, body.len()), dir.path(), "cannot be reached");
    let server = Server::start(&body, Behaviour { moved: Some("/set.bin"), ..NORMAL }); // to itself
    refused(&server.archive(&sum, body.len()), dir.path(), "redirects");
    assert!(!dir.path().join("a").exists());
}

#[test]
fn without_curl_the_message_says_how_to_install_it() {
    let started = fetch::Transfer::start("curl-that-nobody-installed", "http://127.0.0.1/", 0);
    let Err(fetch::FetchError::Permanent(what)) = started else { panic!("it started") };
    assert!(
        what.contains("`curl-that-nobody-installed`: install it") && what.contains("apt-get install curl"),
        "{what}"
    );
}

#[test]
fn instructions_name_each_address_and_path() {
    let lines = manual_steps(DataKind::StanfordDogs, Path::new("data"));
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        "unpack http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar to get data/stanford-dogs/Images"
    );
    assert!(manual_steps(DataKind::Mnist, Path::new("data"))[1].starts_with("put https://ossci"), "{lines:?}");
}
