//! What is safe is made again, what is not is not, and every call has an end.

use std::time::{Duration, Instant};

use graft_client::{
    Graft, Kind, Service, Settings,
    proto::{CollectGarbageRequest, ListBackbonesRequest},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::server::{Server, free};

fn service(server: &Server, with: impl FnOnce(&mut Settings)) -> Service {
    let url = server.url("http");
    let mut settings = Settings { trainer: url.clone(), extractor: url, ..Settings::default() };
    with(&mut settings);
    Graft::with(&settings).unwrap().extractor
}

async fn read(service: &Service) -> Result<(), Status> {
    service.backbones().list_backbones(ListBackbonesRequest {}).await.map(drop)
}

async fn change(service: &Service) -> Result<(), Status> {
    service.maintenance().collect_garbage(CollectGarbageRequest::default()).await.map(drop)
}

fn unavailable(times: usize) -> impl Iterator<Item = Status> {
    std::iter::repeat_with(|| Status::unavailable("starting")).take(times)
}

#[tokio::test]
async fn a_call_that_reads_is_made_again_until_it_is_answered() {
    let server = Server::plain(free()).await;
    let service = service(&server, |_| {});
    server.scripted.script(|script| script.failures.extend(unavailable(3)));
    read(&service).await.unwrap();
    assert_eq!(server.scripted.calls(), 4);

    server.scripted.script(|script| script.failures.extend(unavailable(4)));
    let error = service.error(read(&service).await.unwrap_err());
    assert!(error.is_unreachable() && error.is_retryable(), "{error:?}");
    assert_eq!(server.scripted.calls(), 8, "it gives up");
}

#[tokio::test]
async fn a_call_that_changes_something_is_not_made_again() {
    let server = Server::plain(free()).await;
    let service = service(&server, |_| {});
    server.scripted.script(|script| script.failures.extend(unavailable(1)));
    assert_eq!(change(&service).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(server.scripted.calls(), 1);
}

#[tokio::test]
async fn another_failure_is_told_at_once() {
    let server = Server::plain(free()).await;
    let service = service(&server, |_| {});
    server.scripted.script(|script| script.failures.push_back(Status::not_found("no such backbone")));
    assert!(service.error(read(&service).await.unwrap_err()).is_not_found());
    assert_eq!(server.scripted.calls(), 1);
}

#[tokio::test]
async fn where_there_was_no_connection_nothing_was_done_and_any_call_is_made_again() {
    let address = free();
    let url = format!("http://{address}");
    let service = Graft::new(&url, &url).unwrap().extractor;
    let calling = tokio::spawn({
        let service = service.clone();
        async move { change(&service).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let server = Server::plain(address).await;
    calling.await.unwrap().unwrap();
    assert_eq!(server.scripted.calls(), 1);
}

#[tokio::test]
async fn the_pause_that_a_service_asks_for_is_kept() {
    let server = Server::plain(free()).await;
    let service = service(&server, |_| {});
    let asks = |wait| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(wait)));
        Status::with_error_details(Code::Unavailable, "later", details)
    };
    server.scripted.script(|script| script.failures.push_back(asks(600)));
    let begun = Instant::now();
    read(&service).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());

    server.scripted.script(|script| script.failures.push_back(asks(3_600_000)));
    let error = service.error(read(&service).await.unwrap_err());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)), "nobody waits an hour");
}

#[tokio::test]
async fn every_call_has_a_deadline_that_the_service_is_told() {
    let server = Server::plain(free()).await;
    let soon = service(&server, |settings| settings.deadline = Some(Duration::from_millis(200)));
    server.scripted.script(|script| script.delay = Duration::from_secs(20));
    let begun = Instant::now();
    let error = soon.error(read(&soon).await.unwrap_err());
    assert_eq!(error.kind(), Kind::Deadline, "{error:?}");
    assert!(error.to_string().contains("0.2 seconds") && begun.elapsed() < Duration::from_secs(10), "{error}");

    let mut request = tonic::Request::new(ListBackbonesRequest {});
    request.set_timeout(Duration::from_millis(50));
    let usual = service(&server, |_| {});
    let error = usual.error(usual.backbones().list_backbones(request).await.unwrap_err());
    assert_eq!(error.kind(), Kind::Deadline, "the caller's own: {error:?}");

    server.scripted.script(|script| script.delay = Duration::ZERO);
    read(&usual).await.unwrap();
    change(&usual).await.unwrap();
    let told = server.scripted.script(|script| {
        let timeouts = script.calls.iter().map(|call| call.get("grpc-timeout").unwrap().to_str().unwrap().to_owned());
        timeouts.collect::<Vec<_>>()
    });
    let seconds = |index: usize| {
        let (digits, unit) = told[index].split_at(told[index].len() - 1);
        let thousandths = digits.parse::<f64>().unwrap() * if unit == "u" { 0.001 } else { 1.0 };
        (thousandths / 1000.0).floor()
    };
    assert_eq!((seconds(2), seconds(3)), (60.0, 600.0), "{told:?}");
}
