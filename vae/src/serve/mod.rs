//! An HTTP server for a browser on this machine. It has its own thread, owns no tensors and computes nothing.
//!
//! It listens on 127.0.0.1 unless another address is given. All responses come from the program itself or from memory: no path
//! in a URL is ever read from the disk. `guard` decides which requests are answered; `explore` and `live` provide the pages.

mod guard;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use tokio::sync::Notify;
use vae_core::{Error, Result};

use crate::console::warn;

/// How long running requests may continue after the server is stopped.
const GRACE: Duration = Duration::from_secs(1);

/// The style sheet of all pages.
pub(crate) const STYLE: &str =
    concat!(include_str!("../../assets/report/page.css"), include_str!("../../assets/explore/form.css"));

/// Where to listen, by the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Place {
    /// The port to serve the page on [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The address to serve the page on, for others to reach it; there is no password [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<IpAddr>,
}

/// A running server. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server for these routes. It runs until it is stopped or `work`, a task next to it, is finished.
    ///
    /// # Errors
    /// If the port is in use, or the address is not permitted.
    pub fn start(place: Place, pages: Router, work: impl Future<Output = ()> + Send + 'static) -> Result<Server> {
        let asked = SocketAddr::new(place.host.unwrap_or(Ipv4Addr::LOCALHOST.into()), place.port.unwrap_or(0));
        let refuse = |error: std::io::Error| {
            Error::Address(match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    format!(
                        "{asked}: the port is already in use; choose another --port, or leave it out to get a free one"
                    )
                }
                _ => format!("{asked}: cannot serve the page there: {error}; choose another --port or --host"),
            })
        };
        let listener = TcpListener::bind(asked).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        if !address.ip().is_loopback() {
            warn(&format!("everybody who can reach {address} can see and use the page; there is no password"));
        }
        let stop = Arc::new(Notify::new());
        let pages = guard::guarded(pages, address.ip());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refuse)?;
        let stopped = stop.clone();
        let serve = move || runtime.block_on(serve(listener, pages, stopped, work));
        let thread = std::thread::Builder::new().name("server".into()).spawn(serve).map_err(refuse)?;
        Ok(Server { address, stop, thread: Some(thread) })
    }

    /// The URL of the page.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// A handle that stops the server from any thread.
    pub fn stopper(&self) -> Arc<Notify> {
        self.stop.clone()
    }

    /// Waits until the server has stopped, which it also does when `work` is finished.
    pub fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        // A server that failed has already reported the error, and no other work depends on it.
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.notify_one();
        self.join();
    }
}

async fn serve(listener: TcpListener, pages: Router, stop: Arc<Notify>, work: impl Future<Output = ()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let closing = Arc::new(Notify::new());
    let close = closing.clone();
    let serving = axum::serve(listener, pages).with_graceful_shutdown(async move { close.notified().await });
    let ending = async {
        tokio::select! { () = stop.notified() => {}, () = work => {} }
        closing.notify_one();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! { _ = serving => {}, () = ending => {} }
}

/// A route for a file inside the program.
pub fn asset<S: Clone + Send + Sync + 'static>(kind: &'static str, text: &'static str) -> MethodRouter<S> {
    get(move || async move { ([(CONTENT_TYPE, kind)], text) })
}

/// The routes of a page: HTML, script, and the common style sheet.
pub fn page<S: Clone + Send + Sync + 'static>(html: &'static str, script: &'static str) -> Router<S> {
    Router::new()
        .route("/", asset("text/html; charset=utf-8", html))
        .route("/page.js", asset("text/javascript; charset=utf-8", script))
        .route("/page.css", asset("text/css; charset=utf-8", STYLE))
}

/// A response with a PNG.
pub fn png(bytes: Vec<u8>) -> axum::response::Response {
    ([(CONTENT_TYPE, "image/png")], bytes).into_response()
}

/// Opens a page in the user's browser, if there is a display.
pub fn open(url: &str) {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let opener = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ if set("DISPLAY") || set("WAYLAND_DISPLAY") => "xdg-open",
        _ => return,
    };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The address has been printed, so a user without this program can open the page by hand.
    if let Ok(mut child) = command.spawn() {
        std::thread::spawn(move || child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_port_is_refused_in_one_line_and_a_released_one_is_free() {
        let start = |port| {
            let place = Place { port, host: None };
            Server::start(place, Router::new(), std::future::pending())
        };
        let first = start(None).unwrap();
        let port = first.address.port();
        let error = start(Some(port)).err().unwrap();
        assert!(error.to_string().contains("the port is already in use; choose another --port"), "{error}");
        assert_eq!((error.exit_code(), first.address.ip().is_loopback()), (1, true));
        drop(first);
        drop(start(Some(port)).unwrap());
    }

    /// Scripts repeat the threshold of a latent in use.
    #[test]
    fn pages_count_latents_by_the_threshold_of_the_program() {
        let line = format!("const IN_USE = {};", vae_core::predict::IN_USE);
        for script in [include_str!("../../assets/live/page.js"), include_str!("../../assets/explore/page.js")] {
            assert!(script.contains(&line) && script.contains("> IN_USE)"), "{line}");
        }
    }

    #[test]
    fn finished_work_stops_the_server() {
        Server::start(Place::default(), Router::new(), std::future::ready(())).unwrap().wait();
    }
}
