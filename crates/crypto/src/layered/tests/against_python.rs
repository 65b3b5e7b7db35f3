//! Random documents, well formed and not, against the Python on this machine.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "asks another program")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::layered::layered_hash;
use crate::{SeededRandomness, to_hex};

/// Reads documents in hexadecimal, one a line, and prints their hashes, or
/// `refused` for those that `json.loads` refuses.
const PROGRAM: &str = r#"
import hashlib, json, sys
for line in sys.stdin:
    try:
        data = json.loads(bytes.fromhex(line).decode())
        if isinstance(data, dict):
            data = {k: v for k, v in data.items() if k != "hash"}
        text = json.dumps(data, sort_keys=True, default=str)
    except ValueError:
        print("refused")
        continue
    inner = hashlib.sha256(text.encode()).hexdigest()
    print(hashlib.sha256((inner + "quantum_salt").encode()).hexdigest())
"#;

const DOCUMENTS: usize = 1500;

#[test]
fn random_documents_hash_as_in_python() {
    let mut randomness = SeededRandomness::from_u64(2024, "documents");
    let documents: Vec<String> = (0..DOCUMENTS).map(|_| document(&mut randomness)).collect();
    let Some(answers) = ask_python(&documents) else {
        eprintln!("skipped: there is no python3 of version 3.11 or later on this machine");
        return;
    };
    let mut refused = 0;
    for (document, answer) in documents.iter().zip(&answers) {
        let ours = layered_hash(document).unwrap_or_else(|_| "refused".to_owned());
        assert_eq!(&ours, answer, "{document:?}");
        refused += usize::from(ours == "refused");
    }
    assert_eq!(answers.len(), DOCUMENTS);
    assert!((DOCUMENTS / 20..DOCUMENTS / 2).contains(&refused), "{refused} were refused");
}

fn ask_python(documents: &[String]) -> Option<Vec<String>> {
    // Older versions read integers of any length.
    let version = "import sys; sys.exit(sys.version_info < (3, 11))";
    let recent = Command::new("python3").args(["-c", version]).status().ok()?.success();
    if !recent {
        return None;
    }
    let mut python = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let lines: String = documents.iter().map(|text| to_hex(text.as_bytes()) + "\n").collect();
    let mut input = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

fn pick<'a>(randomness: &mut SeededRandomness, options: &[&'a str]) -> &'a str {
    options[number(randomness, options.len())]
}

fn number(randomness: &mut SeededRandomness, bound: usize) -> usize {
    usize::try_from(randomness.below(bound as u64)).unwrap()
}

/// A document; one in four damaged.
fn document(randomness: &mut SeededRandomness) -> String {
    let mut text = blank(randomness) + &value(randomness, 0) + &blank(randomness);
    if randomness.below(4) == 0 {
        let positions: Vec<usize> = text.char_indices().map(|(position, _)| position).collect();
        let position = positions[number(randomness, positions.len())];
        let damage = [
            "", ",", ":", "\"", "\\", "0", ".", "e", "-", "+", "[", "]", "{", "}", "\\u", "\0",
            "\u{1f}", "\u{b}", "\u{a0}", "\u{feff}", "N", "null", " ", "\n", "_", "\u{663}",
        ];
        text.remove(position);
        text.insert_str(position, pick(randomness, &damage));
    }
    text
}

fn blank(randomness: &mut SeededRandomness) -> String {
    pick(randomness, &["", "", "", " ", "\t\n", "\r"]).to_owned()
}

fn value(randomness: &mut SeededRandomness, depth: u32) -> String {
    let kinds = if depth < 5 { 10 } else { 5 };
    match randomness.below(kinds) {
        0 | 1 => decimal(randomness),
        2 => string(randomness),
        3 => pick(randomness, &["null", "true", "false", "[]", "{}", "[ ]", "{\n}"]).to_owned(),
        4 => pick(randomness, &["NaN", "Infinity", "-Infinity", "-0", "-0.0", "1E5"]).to_owned(),
        5 | 6 => {
            let elements: Vec<String> = (0..randomness.below(5))
                .map(|_| blank(randomness) + &value(randomness, depth + 1) + &blank(randomness))
                .collect();
            format!("[{}]", elements.join(","))
        }
        _ => {
            let members: Vec<String> = (0..randomness.below(7))
                .map(|_| {
                    let name = blank(randomness) + &string(randomness) + &blank(randomness);
                    name + ":" + &blank(randomness) + &value(randomness, depth + 1)
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn decimal(randomness: &mut SeededRandomness) -> String {
    let sign = pick(randomness, &["", "-"]);
    match randomness.below(5) {
        0 => format!("{sign}{}", randomness.below(100)),
        1 => format!("{sign}{}{}", randomness.next_u64(), randomness.next_u64()),
        // Quarters of large numbers: ties between shortest forms.
        2 => {
            format!("{sign}{}.{}", randomness.below(1 << 52), pick(randomness, &["25", "5", "75"]))
        }
        3 => {
            let float = f64::from_bits(randomness.next_u64());
            if float.is_finite() { format!("{float:e}") } else { "1e999".to_owned() }
        }
        _ => {
            let fraction = format!("{}.{}", randomness.below(1000), randomness.next_u64());
            let mark = pick(randomness, &["e", "E", "e+", "e-", "E-"]);
            format!("{sign}{fraction}{mark}{}", randomness.below(345))
        }
    }
}

/// Names repeat often, and `hash` is among them.
fn string(randomness: &mut SeededRandomness) -> String {
    if randomness.below(6) == 0 {
        return pick(randomness, &["\"hash\"", "\"\\u0068ash\"", "\"a\"", "\"\""]).to_owned();
    }
    let mut text = String::new();
    for _ in 0..randomness.below(6) {
        match randomness.below(8) {
            0 | 1 => text += pick(randomness, &["a", "b", "Z", "0", "~", "/", " ", "\u{7f}"]),
            2 => text += pick(randomness, &["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\t"]),
            3 => text += &format!("\\u{:04x}", randomness.below(0x10000)),
            4 => text += &format!("\\u{:04X}", 0xd800 + randomness.below(0x800)),
            5 => {
                let (high, low) = (randomness.below(0x400), randomness.below(0x400));
                text += &format!("\\u{:04x}\\u{:04x}", 0xd800 + high, 0xdc00 + low);
            }
            6 => text += pick(randomness, &["é", "漢", "\u{d7ff}", "\u{e000}", "\u{ffff}", "😀"]),
            _ => {
                let code_point = u32::try_from(0x80 + randomness.below(0x10_ff80)).unwrap();
                text.extend(char::from_u32(code_point));
            }
        }
    }
    format!("\"{text}\"")
}
