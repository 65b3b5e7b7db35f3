use super::*;

fn key_file(scheme: Scheme) -> KeyFile {
    let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
    KeyFile {
        scheme: scheme.to_string(),
        public_key: key.public_key().to_string(),
        secret_seed: to_hex(key.expose_seed()),
    }
}

fn problem(file: &KeyFile) -> String {
    let error = parse_key(&serde_json::to_string(file).unwrap()).unwrap_err();
    format!("{error:#}")
}

#[test]
fn a_key_file_reads_back() {
    for scheme in [Scheme::Falcon512, Scheme::MlDsa65, Scheme::SlhDsaSha2_128f] {
        let file = key_file(scheme);
        let key = parse_key(&serde_json::to_string(&file).unwrap()).unwrap();
        assert_eq!(key.public_key().to_string(), file.public_key);
    }
}

#[test]
fn an_array_is_no_key_file() {
    let file = key_file(Scheme::MlDsa44);
    let array = [&file.scheme, &file.public_key, &file.secret_seed];
    let error = parse_key(&serde_json::to_string(&array).unwrap()).unwrap_err();
    assert!(error.to_string().contains("no JSON object"), "{error}");
}

#[test]
fn a_damaged_key_file_is_refused_with_the_member() {
    let good = || key_file(Scheme::MlDsa44);
    assert!(problem(&KeyFile { scheme: "rsa".into(), ..good() }).contains("use one of"));
    assert!(problem(&KeyFile { secret_seed: "00".into(), ..good() }).contains("1 bytes instead"));
    assert!(problem(&KeyFile { secret_seed: "zz".into(), ..good() }).contains("secret_seed"));
    assert!(problem(&KeyFile { public_key: "0".into(), ..good() }).contains("public_key"));
    let swapped = KeyFile { secret_seed: "11".repeat(32), ..good() };
    assert!(problem(&swapped).contains("do not belong together"));
    for text in ["", "[]", "{}", r#"{"scheme":"ml-dsa-44","extra":1}"#] {
        assert!(parse_key(text).is_err(), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;

    let path = std::env::temp_dir().join(format!("qcn-key-test-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    write_private(&path, "first").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let error = write_private(&path, "second").unwrap_err().to_string();
    assert!(error.contains("does not exist yet"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n");
    std::fs::remove_file(&path).unwrap();
}
