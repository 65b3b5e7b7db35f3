//! Documents that break a rule of the format, and what is said about each.

use super::{qcn, text};

const COMMITTEE: &str = r#"[{"name":"A","weight":1},{"name":"B","weight":2}]"#;
const BLOCKS: &str = r#"[
    {"id":"A1","author":"A","round":1,"parents":["A0","B0"]},
    {"id":"B1","author":"B","round":1,"parents":["B0"]}]"#;

fn document(committee: &str, leaders: &str, blocks: &str) -> String {
    format!(r#"{{"committee":{committee},"leaders":{leaders},"blocks":{blocks}}}"#)
}

/// Blocks beside the two that are fine.
fn more(block: &str) -> String {
    document(
        COMMITTEE,
        "{}",
        &BLOCKS.replace(r#""parents":["B0"]}]"#, &format!(r#""parents":["B0"]}},{block}]"#)),
    )
}

/// Every document is refused with exit code 2, and the message names its file, the place and
/// what to do.
fn check(rows: &[(String, &str, &str)]) {
    for (document, place, remedy) in rows {
        for command in ["decide", "draw"] {
            let output = qcn(&[command, "-"], document);
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{document}\n{message}");
            assert!(output.stdout.is_empty(), "{document}");
            let start = format!("error: standard input: {place}: ");
            assert!(message.starts_with(&start), "{message} does not start with {start}");
            assert!(message.contains(remedy), "{message} does not say {remedy:?}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}

#[test]
fn what_is_no_such_json() {
    let with = |committee: &str| document(committee, "{}", "[]");
    let leaders = |leaders: &str| document(COMMITTEE, leaders, "[]");
    let block = |block: &str| document(COMMITTEE, "{}", &format!("[{block}]"));
    check(&[
        (String::new(), "line 1, column 0", "EOF"),
        ("{".to_owned(), "line 1, column 1", "EOF"),
        ("[]".to_owned(), "line 1, column 0", "expected an object"),
        ("{}".to_owned(), "line 1, column 2", "missing field `committee`"),
        (document(COMMITTEE, "{}", "[]") + "x", "line 1, column 89", "trailing characters"),
        (document(COMMITTEE, "{}", "[]\n,\"more\":1"), "line 2, column 7", "unknown field `more`"),
        (document(COMMITTEE, "{}", "[],\"blocks\":[]"), "line 1, column 96", "duplicate field"),
        (with(r#"[["A",1]]"#), "line 1, column 14", "expected an object"),
        (with(r#"{"A":1}"#), "line 1, column 13", "expected a sequence"),
        (with(r#"[{"name":"A"}]"#), "line 1, column 26", "missing field `weight`"),
        (with(r#"[{"name":"A","weight":"1"}]"#), "line 1, column 38", "expected a whole number"),
        (with(r#"[{"name":"A","weight":1.0}]"#), "line 1, column 38", "expected a whole number"),
        (with(r#"[{"name":"A","weight":-1}]"#), "line 1, column 37", "expected a whole number"),
        (
            with(r#"[{"name":"A","weight":18446744073709551616}]"#),
            "line 1, column 55",
            "expected a whole number",
        ),
        (with(r#"[{"name":1,"weight":1}]"#), "line 1, column 23", "expected a string"),
        (with(r#"[{"name":"A","weight":1,"stake":2}]"#), "line 1, column 44", "`stake`"),
        (with(r#"[{"name":"A","name":"A","weight":1}]"#), "line 1, column 32", "duplicate field"),
        (leaders("[]"), "line 1, column 73", "from rounds to leaders"),
        (leaders(r#"{"1":1}"#), "line 1, column 79", "a leader's name or a list of names"),
        (leaders(r#"{"1":[["A"]]}"#), "line 1, column 79", "expected a string"),
        (leaders(r#"{"1":"A","2":"B","1":"B"}"#), "line 1, column 93", "in one list"),
        (block(r#"["A1","A",1,[]]"#), "line 1, column 86", "expected an object"),
        (block(r#"{"id":"A1","author":"A","round":1}"#), "line 1, column 120", "`parents`"),
        (
            block(r#"{"id":"A1","author":"A","round":1,"parents":"A0"}"#),
            "line 1, column 134",
            "expected a sequence",
        ),
        (
            block(r#"{"id":"A1","author":"A","round":1,"parents":[],"time":3}"#),
            "line 1, column 139",
            "unknown field `time`",
        ),
    ]);
}

#[test]
fn committees_that_cannot_be() {
    let with = |committee: &str| document(committee, "{}", "[]");
    let crowd: Vec<String> =
        (0..513).map(|index| format!(r#"{{"name":"m{index}","weight":1}}"#)).collect();
    check(&[
        (with("[]"), "committee", "name at least one member"),
        (with(&format!("[{}]", crowd.join(","))), "committee", "up to 512"),
        (with(r#"[{"name":"A","weight":0}]"#), "committee[0].weight", "a weight from 1"),
        (with(r#"[{"name":"","weight":1}]"#), "committee[0].name", "give every member a name"),
        (
            with(r#"[{"name":"A","weight":1},{"name":"A","weight":1}]"#),
            "committee[1].name",
            "give each its own name",
        ),
        (
            with(r#"[{"name":"A","weight":18446744073709551615},{"name":"B","weight":1}]"#),
            "committee[1].weight",
            "scale all of them down",
        ),
    ]);
}

#[test]
fn leaders_that_cannot_be() {
    let with = |leaders: &str| document(COMMITTEE, leaders, BLOCKS);
    check(&[
        (with(r#"{"0":"A"}"#), r#"leaders["0"]"#, "a number from 1 on"),
        (with(r#"{"-1":"A"}"#), r#"leaders["-1"]"#, "a number from 1 on"),
        (with(r#"{"+1":"A"}"#), r#"leaders["+1"]"#, "a number from 1 on"),
        (with(r#"{"1":"A","01":"B"}"#), r#"leaders["01"]"#, "leading zeros"),
        (with(r#"{"first":"A"}"#), r#"leaders["first"]"#, "a number from 1 on"),
        (with(r#"{"18446744073709551616":"A"}"#), r#"leaders["18446744073709551616"]"#, "a number"),
        (with(r#"{"1":"C"}"#), r#"leaders["1"]"#, "\"C\" is no member"),
        (with(r#"{"1":"A","2":["A","C"]}"#), r#"leaders["2"][1]"#, "\"C\" is no member"),
        (with(r#"{"2":["A","B","A"]}"#), r#"leaders["2"][2]"#, "name it once"),
    ]);
}

#[test]
fn blocks_that_cannot_be() {
    check(&[
        (
            more(r#"{"id":"C1","author":"C","round":1,"parents":[]}"#),
            "blocks[2].author",
            "\"C\" is no member",
        ),
        (
            more(r#"{"id":"A0","author":"A","round":0,"parents":[]}"#),
            "blocks[2].round",
            "are implied",
        ),
        (
            more(r#"{"id":"B0","author":"A","round":2,"parents":["A1"]}"#),
            "blocks[2].id",
            "choose another id",
        ),
        (
            more(r#"{"id":"A1","author":"A","round":2,"parents":["A1"]}"#),
            "blocks[2].id",
            "the id of blocks[0] already",
        ),
    ]);
}

#[test]
fn parents_that_cannot_be() {
    let parents = |round: u64, parents: &str| {
        more(&format!(r#"{{"id":"A2","author":"A","round":{round},"parents":{parents}}}"#))
    };
    let of_two_blocks = |one: &str, other: &str| {
        document(
            COMMITTEE,
            "{}",
            &format!(
                r#"[{{"id":"x","author":"A","round":{one}}},{{"id":"y","author":"B","round":{other}}}]"#
            ),
        )
    };
    check(&[
        (parents(2, r#"["A1","B7"]"#), "blocks[2].parents[1]", "\"B7\" is no block; add it"),
        (parents(2, r#"["A1","B1","A0"]"#), "blocks[2].parents[2]", "at most one parent of each"),
        (parents(2, r#"["B1","B1"]"#), "blocks[2].parents[1]", "at most one parent of each"),
        (parents(1, r#"["B1"]"#), "blocks[2].parents[0]", "a parent is of a lower round"),
        (parents(2, r#"["A2"]"#), "blocks[2].parents[0]", "a parent is of a lower round"),
        (
            of_two_blocks(r#"4,"parents":["y"]"#, r#"4,"parents":["x"]"#),
            "blocks[0].parents[0]",
            "else there could be cycles",
        ),
        (
            of_two_blocks(r#"4,"parents":["y"]"#, r#"3,"parents":["x"]"#),
            "blocks[1].parents[0]",
            "else there could be cycles",
        ),
    ]);
}

#[test]
fn a_dag_that_does_not_fit_into_memory() {
    let committee: Vec<String> =
        (0..512).map(|index| format!(r#"{{"name":"m{index}","weight":1}}"#)).collect();
    let block =
        |round: u64| format!(r#"{{"id":"b{round}","author":"m0","round":{round},"parents":[]}}"#);
    let blocks: Vec<String> = (1..=(1 << 14) + 1).map(block).collect();
    let committee = format!("[{}]", committee.join(","));
    let document = document(&committee, "{}", &format!("[{}]", blocks.join(",")));
    check(&[(document, "blocks", "leave rounds out")]);
}

#[test]
fn files_are_named() {
    for (file, problem) in [("/nowhere/dag.json", "No such file"), ("/", "it is a folder")] {
        let output = qcn(&["decide", file], "");
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(message.starts_with(&format!("error: cannot read {file}: ")), "{message}");
        assert!(message.contains(problem), "{message}");
        assert!(message.contains("; "), "a remedy follows: {message}");
    }
    let output =
        qcn(&["draw", "-", "--out", "/nowhere/dag.svg"], &document(COMMITTEE, "{}", BLOCKS));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: cannot write /nowhere/dag.svg: "));
}
