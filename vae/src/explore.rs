//! The HTTP interface of the explorer. Requests wait in a queue, and the thread that owns the model answers one at a time.
//!
//! ```text
//! GET  /about                {"title", "latents", …}            all others: 400 with the error message
//! POST /decode               {"z": […], "label"} → a PNG
//! POST /mosaic               {"z": […], "label", "dims": [x, y], "ranges": [[left, right], [low, high]]} → a PNG of tiles
//! GET  /image?place=7        {"z", "label", "picture", "other_ground"}
//! POST /picture?label=0      a picture file → as image          413 above 10 MB
//!      &inverted=true&whole=true       dark and light exchanged; not cropped
//! GET  /map?x=3&y=7          {"points", "labels"}               503 if too many requests wait
//! ```

mod static_page;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc, oneshot};
use vae_core::{Error, Result};
use vae_explore::{Answer, Explorer, Mosaic, Point, Question, Reading};
use vae_run::LoadedRun;

use crate::say;
use crate::serve::{self, Place, Server};

pub use static_page::export;

/// The script of the page, a file for each part of it.
const SCRIPT: &str = concat!(
    include_str!("../assets/explore/page.js"),
    include_str!("../assets/explore/codes.js"),
    include_str!("../assets/explore/drawing.js"),
    include_str!("../assets/explore/map.js"),
);
/// The largest number of waiting requests.
const WAITING: usize = 256;
/// The largest size of an uploaded picture, in bytes.
const PICTURE: usize = 10_000_000;
/// The largest number of pictures that are received at the same time. They are in memory until they are encoded.
const PICTURES: usize = 4;
/// The largest size of any other request, in bytes.
const QUESTION: usize = 256 << 10;

/// The queue of requests to the thread that owns the model.
#[derive(Clone)]
struct RequestQueue {
    line: mpsc::Sender<(Question, oneshot::Sender<Result<Answer>>)>,
    pictures: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct ImageQuery {
    place: usize,
}

#[derive(Deserialize)]
struct MapQuery {
    x: usize,
    y: usize,
}

/// Serves the explorer of a run until Ctrl-C, and prints its address.
///
/// # Errors
/// If the run has no latents, or the address cannot be used.
pub fn serve(run: LoadedRun, place: Place) -> Result<()> {
    let (line, mut questions) = mpsc::channel(WAITING);
    let queue = RequestQueue { line, pictures: Arc::new(Semaphore::new(PICTURES)) };
    let server = Server::start(place, pages(queue), std::future::pending())?;
    let stopper = server.stopper();
    // When the server stops, it drops the sender of the channel, and the loop below ends.
    ctrlc::set_handler(move || stopper.notify_one())
        .map_err(|error| Error::Thread(format!("Ctrl-C cannot be caught: {error}")))?;
    let explorer = Explorer::new(run)?;
    say!("{} is at {}  (Ctrl-C ends it)", explorer.about().title, server.url());
    serve::open(&server.url());
    while let Some((question, reply)) = questions.blocking_recv() {
        if !reply.is_closed() {
            let _ = reply.send(explorer.answer(question)); // the client may have disconnected
        }
    }
    Ok(())
}

fn pages(queue: RequestQueue) -> Router {
    let html = include_str!("../assets/explore/page.html");
    serve::page(html, SCRIPT)
        .route("/about", get(|State(queue): State<RequestQueue>| async move { queue.ask(Question::About).await }))
        .route("/decode", post(decode))
        .route("/mosaic", post(mosaic))
        .route("/image", get(image))
        .route("/picture", post(picture))
        .route("/map", get(map))
        .layer(DefaultBodyLimit::max(QUESTION))
        .with_state(queue)
}

async fn decode(State(queue): State<RequestQueue>, point: std::result::Result<Json<Point>, JsonRejection>) -> Response {
    match point {
        Ok(Json(point)) => queue.ask(Question::Decode(point)).await,
        Err(refused) => refused.into_response(),
    }
}

async fn mosaic(
    State(queue): State<RequestQueue>,
    mosaic: std::result::Result<Json<Mosaic>, JsonRejection>,
) -> Response {
    match mosaic {
        Ok(Json(mosaic)) => queue.ask(Question::Mosaic(mosaic)).await,
        Err(refused) => refused.into_response(),
    }
}

async fn image(
    State(queue): State<RequestQueue>,
    query: std::result::Result<Query<ImageQuery>, QueryRejection>,
) -> Response {
    match query {
        Ok(Query(query)) => queue.ask(Question::Image(query.place)).await,
        Err(refused) => refused.into_response(),
    }
}

async fn map(
    State(queue): State<RequestQueue>,
    query: std::result::Result<Query<MapQuery>, QueryRejection>,
) -> Response {
    match query {
        Ok(Query(query)) => queue.ask(Question::Map([query.x, query.y])).await,
        Err(refused) => refused.into_response(),
    }
}

async fn picture(
    State(queue): State<RequestQueue>,
    reading: std::result::Result<Query<Reading>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Query(reading) = match reading {
        Ok(reading) => reading,
        Err(refused) => return refused.into_response(),
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let too_large = (StatusCode::PAYLOAD_TOO_LARGE, "a picture may have at most 10 MB");
    if said.is_some_and(|said| said > PICTURE) {
        return too_large.into_response();
    }
    let Ok(_room) = queue.pictures.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match to_bytes(body, PICTURE).await {
        Ok(bytes) => queue.ask(Question::Picture(bytes.to_vec(), reading)).await,
        Err(_) => too_large.into_response(), // too large, or the client has disconnected
    }
}

impl RequestQueue {
    async fn ask(&self, question: Question) -> Response {
        let (reply, answered) = oneshot::channel();
        if self.line.try_send((question, reply)).is_err() {
            return (StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting; try again").into_response();
        }
        match answered.await {
            Ok(Ok(Answer::Png(bytes))) => serve::png(bytes),
            Ok(Ok(Answer::Json(text))) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Ok(Err(error @ Error::Config(_))) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
            Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the explorer is stopping").into_response(),
        }
    }
}
