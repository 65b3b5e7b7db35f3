use std::io::{BufReader, pipe};

use qcn_crypto::SigningKey;

use super::*;

/// A valid request, and its line.
fn signed(scheme: Scheme, message: &[u8], context: &[u8]) -> Request {
    let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
    Request {
        scheme,
        public_key: key.public_key().as_bytes().to_vec(),
        message: message.to_vec(),
        context: context.to_vec(),
        signature: key.sign_raw(message, context).unwrap().as_bytes().to_vec(),
    }
}

fn answers(input: &[u8], workers: usize) -> Vec<String> {
    let mut output = Vec::new();
    answer_all(input, &mut output, workers).unwrap();
    String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
}

fn answer_to(line: &str) -> String {
    let answers = answers(line.as_bytes(), 1);
    assert_eq!(answers.len(), 1);
    answers[0].clone()
}

const VALID: &str = r#"{"valid":true,"reason":null}"#;

#[test]
fn valid_signatures_of_each_family_are_accepted() {
    for scheme in [Scheme::Falcon512, Scheme::MlDsa44, Scheme::SlhDsaSha2_128f] {
        for context in [b"".as_slice(), b"context"] {
            let request = signed(scheme, b"message", context);
            assert_eq!(answer_to(&request.to_json()), VALID);
            let other = Request { message: b"massage".to_vec(), ..request };
            assert!(answer_to(&other.to_json()).starts_with(r#"{"valid":false,"reason":"the sig"#));
        }
    }
}

#[test]
fn malformed_keys_signatures_and_contexts_are_not_valid_and_say_why() {
    let good = || signed(Scheme::MlDsa44, b"message", b"");
    let rows = [
        (Request { public_key: vec![1; 1334], ..good() }, "1312 bytes, this one has 1334"),
        (Request { public_key: Vec::new(), ..good() }, "1312 bytes, this one has 0"),
        (Request { signature: vec![1; 2421], ..good() }, "2420 bytes, this one has 2421"),
        (Request { context: vec![1; 256], ..good() }, "at most 255 bytes"),
        (Request { scheme: Scheme::Falcon512, ..good() }, "897 bytes, this one has 1312"),
        (
            Request {
                scheme: Scheme::Falcon512,
                public_key: vec![0xff; 897],
                signature: vec![0; 666],
                ..good()
            },
            "encode no falcon-512 public key",
        ),
    ];
    for (request, expected) in rows {
        let answer = answer_to(&request.to_json());
        assert!(answer.starts_with(r#"{"valid":false,"#) && answer.contains(expected), "{answer}");
    }
}

#[test]
fn malformed_lines_are_answered_by_an_error_that_says_what_to_do() {
    let rest = r#""public_key":"","message":"","signature":"""#;
    let rows = [
        ("\n".to_owned(), "blank"),
        ("   \r\n".to_owned(), "blank"),
        ("hello".to_owned(), "not a JSON object"),
        (r#"["falcon-512","","",""]"#.to_owned(), "not a JSON object"),
        ("{".to_owned(), "EOF while parsing"),
        ("{} {}".to_owned(), "missing field"),
        (format!(r#"{{"scheme":"rsa",{rest}}}"#), "use one of falcon-512"),
        (format!("{{{rest}}}"), "missing field `scheme`"),
        (format!(r#"{{"scheme":"falcon-512","extra":1,{rest}}}"#), "unknown field `extra`"),
        (format!(r#"{{"scheme":"falcon-512","scheme":"falcon-512",{rest}}}"#), "duplicate field"),
        (format!(r#"{{"scheme":512,{rest}}}"#), "invalid type: integer"),
        (format!(r#"{{"scheme":"falcon-512","context":"0",{rest}}}"#), "context: 1 hex digits"),
        (format!(r#"{{"scheme":"falcon-512","context":"0x",{rest}}}"#), "context: position 1"),
        (format!(r#"{{"scheme":"falcon-512",{rest}}} 1"#), "trailing characters"),
    ];
    for (line, expected) in rows {
        let answer = answer_to(&line);
        assert!(answer.starts_with(r#"{"error":"line 1: "#), "{line}: {answer}");
        assert!(answer.ends_with(r#","line":1}"#), "{line}: {answer}");
        assert!(answer.contains(expected), "{line}: {answer}");
    }
    assert!(answers(b"\xff\xfe{\n", 1)[0].contains("not a JSON object"));
    assert!(answers(b"{\"scheme\":\"\xff\"}\n", 1)[0].starts_with(r#"{"error""#));
}

#[test]
fn a_null_context_is_the_empty_one_and_blanks_around_a_line_are_fine() {
    let line = signed(Scheme::Falcon512, b"", b"").to_json();
    let with_null = line.replacen('{', r#"{"context":null,"#, 1);
    assert_eq!(answer_to(&with_null), VALID);
    assert_eq!(answer_to(&format!("  {line}\t\r\n")), VALID);
}

/// Answers come in the order of the lines, whatever each costs to check.
#[test]
fn answers_keep_the_order_of_the_lines() {
    let slow = signed(Scheme::SlhDsaSha2_128f, b"message", b"").to_json();
    let fast = signed(Scheme::Falcon512, b"message", b"").to_json();
    let lines: Vec<String> = (0..200)
        .map(|number| match number % 5 {
            0 => slow.clone(),
            1 | 2 => fast.clone(),
            3 => fast.replace("6d657373", "6d657374"),
            _ => "{".to_owned(),
        })
        .collect();
    let input = lines.join("\n");
    let alone = answers(input.as_bytes(), 1);
    assert_eq!(alone.len(), lines.len());
    for (number, answer) in alone.iter().enumerate() {
        match number % 5 {
            0..=2 => assert_eq!(answer, VALID),
            3 => assert!(answer.contains("false")),
            _ => assert!(answer.ends_with(&format!("\"line\":{}}}", number + 1))),
        }
    }
    for workers in [2, 3, 16, 100] {
        assert_eq!(answers(input.as_bytes(), workers), alone, "{workers} workers");
    }
    assert!(answers(b"", 4).is_empty());
}

#[test]
fn an_overlong_line_is_dropped_and_the_next_one_answered() {
    let line = signed(Scheme::Falcon512, b"message", b"").to_json();
    for (length, dropped) in [(MAX_LINE_BYTES, false), (MAX_LINE_BYTES + 1, true)] {
        let input = format!("{}\n{line}\n", "a".repeat(length));
        let answers = answers(input.as_bytes(), 2);
        assert_eq!(answers[0].contains("longer than"), dropped, "{length}");
        assert_eq!(answers[1..], [VALID.to_owned()]);
    }
    // The last line may end without a newline, overlong or not.
    let unfinished = "a".repeat(MAX_LINE_BYTES + 5);
    assert_eq!(answers(unfinished.as_bytes(), 2).len(), 1);
}

/// A program that waits for each answer before it sends the next line gets it.
#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    let line = signed(Scheme::Falcon512, b"message", b"").to_json() + "\n";
    let (input_reader, mut input) = pipe().unwrap();
    let (output, output_writer) = pipe().unwrap();
    let batch = thread::spawn(move || answer_all(BufReader::new(input_reader), output_writer, 3));
    let mut output = BufReader::new(output).lines();
    for _ in 0..7 {
        input.write_all(line.as_bytes()).unwrap();
        assert_eq!(output.next().unwrap().unwrap(), VALID);
    }
    drop(input);
    batch.join().unwrap().unwrap();
    assert!(output.next().is_none());
}

/// When nobody reads the answers any more, the rest of the input is not checked.
#[test]
fn a_broken_output_ends_the_batch() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let input = BufReader::new(io::repeat(b'\n'));
    let error = answer_all(input, Broken, 2).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}
