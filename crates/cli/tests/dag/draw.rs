//! What is drawn.

use super::{example, qcn, text};

fn draw(arguments: &[&str], document: &str) -> String {
    let output = qcn(&[&["draw"], arguments].concat(), document);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// Every element that begins ends, in order, and nothing is left over.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).map(|tag| tag.split_once('>').unwrap().0) {
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_examples_are_drawn() {
    for (name, leader_slots) in [("commit", 4), ("skip", 3), ("indirect", 3), ("equivocation", 5)] {
        let document = std::fs::read_to_string(example(name)).unwrap();
        let svg = draw(&[&example(name)], "");
        assert_well_formed(&svg);
        let count = |part: &str| svg.matches(part).count();
        // The legend has one block and four badges of its own.
        assert_eq!(count("<g class=\"block"), document.matches("\"id\"").count() + 1, "{name}");
        assert_eq!(count("<g class=\"badge"), leader_slots + 4, "{name}");
        assert!(svg.contains("role=\"img\" aria-labelledby=\"title description\""));
        assert!(svg.contains("<title id=\"title\">DAG of 4 authors: "));
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}

#[test]
fn decisions_are_told_in_words_and_places_in_numbers() {
    let plain = draw(&[&example("skip")], "");
    let told = draw(&["--decisions", &example("skip")], "");
    assert_well_formed(&told);
    for words in [
        "Round 1, leader A: skipped directly",
        "Round 2, leader B: B2 commits directly",
        "Sequence: B1 C1 D1 B2 A1 A2 C2 D2 C3",
    ] {
        assert!(told.contains(&format!("\">{words}</text>")), "{words}");
        assert!(!plain.contains(&format!("\">{words}</text>")), "{words}");
    }
    assert_eq!(told.matches("class=\"place\"").count(), 9);
    // Who cannot see the picture is told in any case.
    assert!(
        plain.contains("<desc id=\"description\">Round 1, leader A: skipped directly. Round 2")
    );
}

/// Whatever is in the names, the picture is well-formed, and what is wide or far is cut.
#[test]
fn any_name_and_any_distance_can_be_drawn() {
    let document = r#"{
        "committee": [{"name": "<\"&'>\u0000\u0007\ud83d\ude00", "weight": 18446744073709551615}],
        "leaders": {"1": "<\"&'>\u0000\u0007\ud83d\ude00", "18446744073709551615": []},
        "blocks": [
            {"id": "</svg><script>", "author": "<\"&'>\u0000\u0007\ud83d\ude00", "round": 1, "parents": []},
            {"id": "a very long name of a block", "author": "<\"&'>\u0000\u0007\ud83d\ude00",
             "round": 18446744073709551615, "parents": ["</svg><script>"]}
        ]}"#;
    let svg = draw(&["--decisions", "-"], document);
    assert_well_formed(&svg);
    assert!(!svg.contains("<script") && svg.contains("&lt;/svg&gt;&lt;script&gt;"));
    assert!(svg.contains("a very long nam\u{2026}") && svg.contains("18446744073709551613 empty"));
    assert!(!svg.chars().any(|letter| letter.is_control() && letter != '\n'));
    let nothing =
        draw(&["-"], r#"{"committee":[{"name":"A","weight":1}],"leaders":{},"blocks":[]}"#);
    assert_well_formed(&nothing);
}

#[test]
fn a_picture_can_go_to_a_file() {
    let path = std::env::temp_dir().join(format!("qcn-{}-dag.svg", std::process::id()));
    let output = qcn(&["draw", &example("commit"), "--out", path.to_str().unwrap()], "");
    assert!(output.status.success() && output.stdout.is_empty());
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written, draw(&[&example("commit")], ""));
}
