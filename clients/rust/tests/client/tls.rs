//! TLS, mutual TLS, and files that are renewed.

use std::{fs, path::Path};

use graft_client::{Error, Graft, Service, Settings, Tls, Token, proto::ListBackbonesRequest};
use tempfile::TempDir;

use crate::{
    certificates::{Authority, Certified, file},
    server::{Server, free, proof},
};

fn service(url: &str, tls: Tls) -> Service {
    let (trainer, extractor) = (url.to_owned(), url.to_owned());
    let token = Some(Token::Text("s3cret".into()));
    Graft::with(&Settings { trainer, extractor, tls, token, ..Settings::default() }).unwrap().extractor
}

async fn call(service: &Service) -> Result<(), Error> {
    let answer = service.backbones().list_backbones(ListBackbonesRequest {}).await;
    answer.map(drop).map_err(|status| service.error(status))
}

fn trusting(folder: &Path, authority: &Authority) -> Tls {
    Tls { ca_file: Some(file(folder, "ca.pem", &authority.pem())), ..Tls::default() }
}

fn showing(tls: Tls, folder: &Path, certified: &Certified) -> Tls {
    let cert_file = Some(file(folder, "client.pem", &certified.cert));
    Tls { cert_file, key_file: Some(file(folder, "client-key.pem", &certified.key)), ..tls }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_the_token_is_sent() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let server = Server::tls(&authority.certify("127.0.0.1"), None).await;
    let trusting = service(&server.url("https"), trusting(folder.path(), &authority));
    call(&trusting).await.unwrap();
    let header = server.scripted.script(|script| script.calls[0].get("authorization").unwrap().clone());
    assert_eq!(header, "Bearer s3cret");

    let other = Authority::new();
    file(folder.path(), "ca.pem", &other.pem());
    let tls = Tls { ca_file: Some(folder.path().join("ca.pem")), ..Tls::default() };
    let error = call(&service(&server.url("https"), tls)).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("`ca-file`"), "{error}");
    assert_eq!(server.scripted.calls(), 1, "nothing was told to somebody unknown");
}

#[tokio::test]
async fn the_name_in_the_certificate_counts() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let server = Server::tls(&authority.certify("graft.example.org"), None).await;
    let tls = trusting(folder.path(), &authority);
    let error = call(&service(&server.url("https"), tls.clone())).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("`server-name`"), "{error}");
    let named = Tls { server_name: Some("graft.example.org".into()), ..tls };
    call(&service(&server.url("https"), named)).await.unwrap();
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_is_asked_for() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let server = Server::tls(&authority.certify("127.0.0.1"), Some(&authority)).await;
    let tls = trusting(folder.path(), &authority);
    let error = call(&service(&server.url("https"), tls.clone())).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let known = showing(tls.clone(), folder.path(), &authority.certify("somebody"));
    call(&service(&server.url("https"), known)).await.unwrap();
    let unknown = showing(tls, folder.path(), &Authority::new().certify("somebody"));
    assert!(call(&service(&server.url("https"), unknown)).await.unwrap_err().is_unreachable());
    assert_eq!(server.scripted.calls(), 1);
}

#[tokio::test]
async fn files_are_read_again_for_each_connection() {
    let (folder, first) = (TempDir::new().unwrap(), Authority::new());
    let server = Server::tls(&first.certify("127.0.0.1"), None).await;
    let service = service(&server.url("https"), trusting(folder.path(), &first));
    // A new authority: the server changes at once, the file of the client a little later.
    let second = Authority::new();
    *server.proof.lock().unwrap() = proof(&second.certify("127.0.0.1"), None);
    assert!(call(&service).await.unwrap_err().is_unreachable());
    file(folder.path(), "ca.pem", &second.pem());
    call(&service).await.unwrap();
    fs::remove_file(folder.path().join("ca.pem")).unwrap();
    call(&service).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_wrong_is_named_before_anything_is_sent() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let with = |tls: Tls| {
        let url = "https://127.0.0.1:1".to_owned();
        Graft::with(&Settings { trainer: url.clone(), extractor: url, tls, ..Settings::default() }).unwrap_err()
    };
    let missing = with(Tls { ca_file: Some(folder.path().join("nowhere.pem")), ..Tls::default() });
    assert!(matches!(&missing, Error::Config { .. }) && missing.to_string().contains("nowhere.pem"), "{missing}");
    // A key that belongs to another certificate.
    let mut odd = authority.certify("somebody");
    odd.key = authority.certify("somebody").key;
    let error = with(showing(trusting(folder.path(), &authority), folder.path(), &odd)).to_string();
    assert!(error.contains("client.pem") && error.contains("client-key.pem"), "{error}");
}

#[tokio::test]
async fn both_sides_must_speak_tls_or_neither() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let plain = Server::plain(free()).await;
    let error = call(&service(&plain.url("https"), trusting(folder.path(), &authority))).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("does not speak TLS"), "{error}");
    let tls = Server::tls(&authority.certify("127.0.0.1"), None).await;
    assert!(call(&service(&tls.url("http"), Tls::default())).await.is_err());
}
