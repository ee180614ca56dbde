//! The live page and its server-sent events (HTML standard, "server-sent events"). A page gets `state` with everything so far
//! when it connects, then `step`, `epoch`, `line` and `end` as they happen. A page that is too slow gets `state` again. `/reconstructions.png?epoch=3`,
//! `/samples.png?epoch=3` and `/map.png?epoch=3` are the pictures after an epoch.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::state::{Message, State};
use crate::serve;

/// The largest number of open pages.
const PAGES: usize = 64;
/// The number of events that a page may be behind before it gets the whole state again.
const BEHIND: usize = 64;

type News = (&'static str, Value);

/// The state of the run and the channel to all pages.
struct Hub {
    /// Events are sent while this lock is held, so that a page which reads the state and then subscribes misses none and gets
    /// none twice.
    state: Mutex<State>,
    news: broadcast::Sender<News>,
    room: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct PictureQuery {
    /// The latest if there is none.
    epoch: Option<u64>,
}

/// A connected page.
struct Page {
    hub: Arc<Hub>,
    news: broadcast::Receiver<News>,
    first: Option<News>,
    over: bool,
    _place: OwnedSemaphorePermit,
}

/// Returns the routes, and the task that processes the messages of a run. The task ends when all senders are dropped.
pub(super) fn pages(mut messages: UnboundedReceiver<Message>) -> (Router, impl Future<Output = ()> + Send) {
    let room = Arc::new(Semaphore::new(PAGES));
    let hub = Arc::new(Hub { state: Mutex::default(), news: broadcast::channel(BEHIND).0, room });
    let router = serve::page(include_str!("../../assets/live/page.html"), include_str!("../../assets/live/page.js"))
        .route("/events", get(events))
        .route(
            "/reconstructions.png",
            get(|Shared(hub): Shared<Arc<Hub>>, Query(of): Query<PictureQuery>| async move {
                picture(hub.lock().pictures().reconstructions(of.epoch))
            }),
        )
        .route(
            "/samples.png",
            get(|Shared(hub): Shared<Arc<Hub>>, Query(of): Query<PictureQuery>| async move {
                picture(hub.lock().pictures().samples(of.epoch))
            }),
        )
        .route(
            "/map.png",
            get(|Shared(hub): Shared<Arc<Hub>>, Query(of): Query<PictureQuery>| async move {
                picture(hub.lock().pictures().map(of.epoch))
            }),
        )
        .with_state(hub.clone());
    let work = async move {
        while let Some(message) = messages.recv().await {
            let mut state = hub.lock();
            let _ = hub.news.send(state.apply(message)); // an error means that no page is open
        }
    };
    (router, work)
}

async fn events(Shared(hub): Shared<Arc<Hub>>) -> Response {
    let Ok(place) = hub.room.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open; close one").into_response();
    };
    let page = {
        let state = hub.lock();
        let (news, over) = (hub.news.subscribe(), state.has_ended());
        Page { hub: hub.clone(), news, first: Some(("state", state.json())), over, _place: place }
    };
    let events = stream::unfold(page, |mut page| async move {
        let (name, data) = page.next().await?;
        let event = Event::default().event(name).data(data.to_string());
        Some((Ok::<_, Infallible>(event), page))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn picture(bytes: Option<Vec<u8>>) -> Response {
    bytes.map_or_else(|| (StatusCode::NOT_FOUND, "there is no picture of this epoch").into_response(), serve::png)
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// Returns the next event; `None` after the last.
    async fn next(&mut self) -> Option<News> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.over {
            return None;
        }
        let news = match self.news.recv().await {
            Ok(news) => news,
            Err(RecvError::Closed) => return None,
            Err(RecvError::Lagged(_)) => {
                let state = self.hub.lock();
                self.news = self.hub.news.subscribe();
                self.over = state.has_ended();
                return Some(("state", state.json()));
            }
        };
        self.over = news.0 == "end";
        Some(news)
    }
}
