//! Calls by name, also of what only the server knows.

use graft_commands::{Connection, Contract, Failure, Program, by_name, dial};

use crate::support::{graft, server};

/// Run `call ARGUMENTS` in a program that knows nothing of the server.
async fn call(arguments: &[&str]) -> (Result<(), Failure>, String) {
    let ignorant = Contract::decode(graft_proto::FILE_DESCRIPTOR_SET).unwrap();
    let dial = |_: &str, endpoint: Option<&str>| -> Result<Connection, Failure> {
        dial::plain(endpoint.unwrap_or("http://127.0.0.1:9"))
    };
    let matches = by_name::command().try_get_matches_from([&["call"], arguments].concat()).unwrap();
    let mut out = Vec::new();
    let program = Program { name: "graft", flags: &[], dial: &dial, out: &mut out };
    let done = by_name::run(&ignorant, &matches, true, program).await;
    (done, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_server_tells_what_it_can_do() {
    let server = server::start().await;
    let url = server.url.as_str();
    let (done, out) = call(&["--reflect", "--list", "--endpoint", url]).await;
    done.unwrap();
    assert!(out.contains("test.v1.EchoService/Echo ") && out.contains("Give one back as often"), "{out}");
    let (done, out) = call(&["--describe", "--endpoint", url, "EchoService/Upload"]).await;
    done.unwrap();
    for words in [
        "// Take options, then items",
        "stream UploadRequest",
        "repeated test.v1.UploadItem items = 1;",
        "// one of source",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    // Its flags, wherever the address stands.
    for arguments in [
        &["--endpoint", url, "EchoService/Echo", "--a-string", "x", "--inner.amount", "3", "--output", "table"][..],
        &["test.v1.EchoService/Echo", "--endpoint", url, "--a-string", "x", "--inner.amount=3"],
        &["--reflect", "echo/echo", "--a-string=x", "--inner.amount", "3", &format!("--endpoint={url}")],
    ] {
        let (done, out) = call(arguments).await;
        done.unwrap_or_else(|failure| panic!("{arguments:?}: {failure}"));
        assert_eq!(out, "a_string      x\ninner.amount  3\n", "{arguments:?}");
    }
}

#[tokio::test]
async fn help_and_mistakes_of_reflected_calls() {
    let server = server::start().await;
    let url = server.url.as_str();
    let failure = call(&["--endpoint", url, "echo/echo", "--help"]).await.0.unwrap_err();
    let help = failure.to_string();
    assert!(failure.code() == 0 && help.contains("Give one back") && help.contains("--maybe-int64"), "{help}");
    let failure = call(&["--endpoint", url, "test.v1.EchoService/Ecko"]).await.0.unwrap_err();
    assert!(failure.code() == 2 && failure.to_string().contains("test.v1.EchoService/Echo"), "{failure}");
    let failure = call(&["--endpoint", url]).await.0.unwrap_err();
    assert!(failure.code() == 2 && failure.to_string().contains("SERVICE/METHOD"), "{failure}");
    let failure = call(&["--list"]).await.0.unwrap_err();
    assert_eq!(failure.code(), 3, "{failure}");
}

#[tokio::test]
async fn without_reflection_the_program_knows() {
    let server = server::start().await;
    let (done, out) = graft(&server.url, &["call", "EchoService/Repeat", "--count", "2", "--query", ".count"]).await;
    done.unwrap();
    assert_eq!(out, "2\n2\n");
    let (done, out) = graft("http://127.0.0.1:9", &["call", "--list"]).await;
    done.unwrap();
    assert_eq!(out.lines().count(), 8);
}
