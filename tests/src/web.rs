//! A web server with a photo, and with all that one can do wrong.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;

use crate::pictures::photo;

/// A running web server of images.
#[derive(Clone, Debug)]
pub struct Web {
    /// `http://HOST:PORT`.
    pub url: String,
    photo: Bytes,
    /// Where `/images/moved` leads.
    elsewhere: String,
    asked: Arc<AtomicUsize>,
    /// Answers of `/images/silent` that somebody waits for, and the most that there ever were.
    waiting: Arc<AtomicUsize>,
    most_waiting: Arc<AtomicUsize>,
}

/// One who waits for a silent answer.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Web {
    /// Serve `/images/coffee.jpg`, and what misbehaves beside it; `/images/moved` redirects to `elsewhere`.
    pub async fn start(elsewhere: &str) -> Result<Web> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let web = Web {
            url: format!("http://{}", listener.local_addr()?),
            photo: photo("coffee.jpg")?,
            elsewhere: elsewhere.to_owned(),
            asked: Arc::default(),
            waiting: Arc::default(),
            most_waiting: Arc::default(),
        };
        let routes = Router::new().fallback(Web::answer).with_state(web.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(web)
    }

    /// How often it was asked for anything.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many wait for `/images/silent` now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// The most that ever waited for it at once.
    pub fn most_waiting(&self) -> usize {
        self.most_waiting.load(Ordering::SeqCst)
    }

    async fn answer(State(web): State<Web>, request: Request) -> Response {
        web.asked.fetch_add(1, Ordering::SeqCst);
        match request.uri().path() {
            "/images/coffee.jpg" | "/secret.jpg" => web.photo.clone().into_response(),
            "/images/page.html" => "<html>".into_response(),
            "/images/moved" => (StatusCode::FOUND, [(header::LOCATION, web.elsewhere.clone())]).into_response(),
            "/images/endless" => {
                let chunks = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 16]));
                Body::from_stream(chunks).into_response()
            }
            // The head of an answer, and then nothing.
            "/images/silent" => {
                let waiting = web.waiting.fetch_add(1, Ordering::SeqCst) + 1;
                web.most_waiting.fetch_max(waiting, Ordering::SeqCst);
                let waits = Waits(web.waiting.clone());
                let silence = stream::once(async move {
                    let _waits = waits;
                    std::future::pending::<Result<Bytes, std::io::Error>>().await
                });
                Body::from_stream(silence).into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
