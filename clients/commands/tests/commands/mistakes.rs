//! What is wrong is named, with what is accepted and the right exit code.

use crate::support::{echo, server};

#[tokio::test]
async fn wrong_usage_is_told_before_anything_is_sent() {
    // Nobody listens here.
    let nowhere = "http://127.0.0.1:9";
    for (arguments, words) in [
        (&["echo", "--a-sting", "x"][..], &["--a-string"][..]),
        (&["ecko"], &["echo"]),
        (&["echo", "--colour", "deep-blu"], &["deep-blue"]),
        (&["echo", "--colours", "red,green"], &["green"]),
        (&["echo", "--an-int32", "3000000000"], &["a whole number from -2147483648 to 2147483647"]),
        (&["echo", "--a-double", "x"], &["a number is accepted"]),
        (&["echo", "--moment", "soon"], &["2h ago"]),
        (&["echo", "--strings-by-string", "x"], &["KEY=VALUE"]),
        (&["echo", "--doubles-by-int32", "x=1"], &["the key `x`"]),
        (&["echo", "--by-name", "x", "--by-inner.name", "y"], &["--by-name", "--by-inner.name", "only one of"]),
        (&["echo", "--by-inner", "{}", "--by-bytes", "y"], &["--by-inner", "--by-bytes"]),
        (&["echo", "--inner", "{\"nam\":1}"], &["--inner", "nam"]),
        (&["echo", "--inner", "@/no/such"], &["/no/such"]),
        (&["echo", "--json", "{"], &["--json"]),
        (&["echo", "--some-bytes", "base64:?"], &["no base64"]),
        (&["echo", "--timeout=-1s"], &["more than 0"]),
        (&["echo", "--header", "x"], &["KEY=VALUE"]),
        (&["echo", "--output", "xml"], &["jsonl"]),
        (&["echo", "--each", "x"], &["--each"]),
        (&["converse", "--each", "some-bytes=x", "--json", "{}"], &["--json"]),
    ] {
        let (done, out) = echo(nowhere, arguments).await;
        let failure = done.expect_err("it is wrong");
        let text = failure.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{arguments:?}: {text}");
        assert!(failure.code() == 2 && out.is_empty(), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn a_refusal_and_a_silent_address_are_told_apart() {
    let server = server::start().await;
    let failure = echo(&server.url, &["refuse"]).await.0.unwrap_err();
    let text = failure.to_string();
    assert_eq!(failure.code(), 1);
    for words in ["a bad request (INVALID_ARGUMENT)", "options.l2: -1; more than 0 is accepted", "after 2 s"] {
        assert!(text.contains(words), "{text}");
    }
    let failure = echo("http://127.0.0.1:9", &["echo"]).await.0.unwrap_err();
    assert!(failure.code() == 3 && failure.to_string().contains("http://127.0.0.1:9"), "{failure}");
    let failure = echo(&server.url, &["echo", "--endpoint", "nonsense"]).await.0.unwrap_err();
    assert!(failure.code() == 1 && failure.to_string().contains("http://"), "{failure}");
}
