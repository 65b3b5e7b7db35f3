use std::fs;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::*;

async fn ask(path: &str, known: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(tag) = known {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    let request = request.body(Body::empty()).unwrap();
    router().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn every_file_is_served_with_its_type_and_the_policy() {
    for file in FILES {
        let response = ask(file.path, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", file.path);
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], file.content_type);
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, file.text.as_bytes());
    }
}

#[tokio::test]
async fn a_known_version_is_not_sent_again() {
    let first = ask("/", None).await;
    let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(ask("/", Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(ask("/", Some("\"another\"")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    assert_eq!(ask("/explorer/tests.rs", None).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ask("/explorer/../lib.rs", None).await.status(), StatusCode::NOT_FOUND);
}

/// A file in the folder that is not in the table would work with the mock and fail with a node.
#[test]
fn every_file_of_the_folder_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explorer");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let served = FILES.iter().any(|file| file.path.ends_with(&format!("/{name}")));
        assert!(served || name == "index.html" || name == "tests.rs", "{name}");
    }
}

/// The policy blocks these; a page that tries them would be broken in a browser.
#[test]
fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    for file in FILES {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=\"",
            "onclick=",
            "//cdn",
            "@import",
            "url(http",
        ] {
            assert!(!file.text.contains(forbidden), "{forbidden} in {}", file.path);
        }
    }
    assert!(!PAGE.text.contains("<style"), "a style inside the page");
    assert_eq!(
        PAGE.text.matches("<script").count(),
        PAGE.text.matches("<script src=\"/explorer/").count()
            + PAGE.text.matches("<script type=\"module\" src=\"/explorer/").count()
    );
}
