use super::*;

mod against_python;
mod vectors;

#[test]
fn canonical_texts_are_those_of_python() {
    for (document, expected) in vectors::CANONICAL {
        assert_eq!(canonical_json(document).as_deref(), Ok(*expected), "{document}");
    }
}

#[test]
fn hashes_are_those_of_python() {
    for (document, expected) in vectors::HASHES {
        assert_eq!(layered_hash(document).as_deref(), Ok(*expected), "{document}");
    }
}

/// Python refuses each of these with a `JSONDecodeError`.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_python_refuses_is_refused() {
    let refused = [
        "",
        "   ",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{a:1}",
        "{'a':1}",
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        "{1:2}",
        "nul",
        "True",
        "None",
        "nan",
        "infinity",
        "+1",
        "01",
        "-",
        "-a",
        ".5",
        "1.",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "1 2",
        "{} {}",
        "[] ,",
        r#"""#,
        r#""a"#,
        r#""\""#,
        r#""\x41""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\ud800\u12""#,
        "\"\n\"",
        "\"\t\"",
        "\"\u{0}\"",
        "\"\u{1f}\"",
        "\u{feff}{}",
        "\u{a0}{}",
        "\u{b}1",
        "\u{c}1",
        "1\u{0}",
        "// c\n1",
        "/**/1",
        "[1}",
        r#"{"a":1]"#,
        "--1",
        "-Inf",
        "Infinit",
        "NaNN",
        "\u{663}",
        r#""\"#,
        r#""\ "#,
        "\"\\é\"",
        "\"\\u00é9\"",
        "\"\\u000é\"",
    ];
    for document in refused {
        assert!(layered_hash(document).is_err(), "{document:?}");
    }
}

#[test]
fn an_error_tells_the_place() {
    let place = |document: &str| match layered_hash(document).unwrap_err() {
        LayeredHashError::Syntax { line, column, .. }
        | LayeredHashError::IntegerTooLong { line, column, .. }
        | LayeredHashError::TooDeep { line, column } => (line, column),
    };
    assert_eq!(place(""), (1, 1));
    assert_eq!(place("{\"a\": tru}"), (1, 7));
    assert_eq!(place("{\n  \"é😀\": 1\n  \"b\": 2}"), (3, 3));
    assert_eq!(place("[1,\n2,\n\n]"), (4, 1));
    assert_eq!(place(&format!("[\n {}]", "1".repeat(4301))), (2, 2));
    let message = layered_hash("{'a': 1}").unwrap_err().to_string();
    assert_eq!(message, "line 1, column 2: expected a member's name in double quotes");
}

#[test]
fn integers_are_read_up_to_pythons_limit() {
    for sign in ["", "-"] {
        let longest = format!("{sign}{}", "7".repeat(MAX_INTEGER_DIGITS));
        assert_eq!(canonical_json(&longest), Ok(longest.clone()));
        assert!(matches!(
            canonical_json(&format!("{longest}7")),
            Err(LayeredHashError::IntegerTooLong { digits: 4301, .. })
        ));
        // A fraction makes it a float, and those may have any length.
        assert_eq!(canonical_json(&format!("{longest}7.0")), Ok(format!("{sign}Infinity")));
    }
}

/// Neither reading, writing nor dropping uses the call stack.
#[test]
fn deep_documents_are_read_up_to_the_limit() {
    for (open, close) in [("[", "]"), ("{\"a\": ", "}")] {
        let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        let deepest = nested(MAX_NESTING);
        assert_eq!(canonical_json(&deepest), Ok(deepest.clone()));
        let deeper = canonical_json(&nested(MAX_NESTING + 1));
        assert!(matches!(deeper, Err(LayeredHashError::TooDeep { .. })));
    }
    assert!(matches!(
        canonical_json(&"[".repeat(1_000_000)),
        Err(LayeredHashError::TooDeep { .. })
    ));
}

#[test]
fn the_hash_member_is_left_out_at_the_top_only() {
    let hash = |document: &str| layered_hash(document).unwrap();
    assert_eq!(hash(r#"{"a": 1, "hash": "x"}"#), hash(r#"{"hash": [2], "a": 1}"#));
    assert_eq!(hash(r#"{"a": 1, "hash": "x"}"#), hash(r#"{"a":1}"#));
    assert_ne!(hash(r#"{"a": {"hash": 1}}"#), hash(r#"{"a": {"hash": 2}}"#));
    assert_ne!(hash(r#"[{"hash": 1}]"#), hash("[{}]"));
}
