use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use qcn_crypto::{Scheme, SealingCost};

use super::*;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("qcn-keyfile-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn sealed_key(&self) -> PathBuf {
        let cost = SealingCost { memory_kib: 8, passes: 1, lanes: 1 };
        let passphrase = Passphrase::new(Zeroizing::new("open sesame".to_owned())).unwrap();
        let file = KeyFile::seal(&key(), Role::Transport, &passphrase, cost).unwrap();
        let path = self.0.join("transport.key");
        write(&path, &file, Overwrite::Refuse).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed(Scheme::MlDsa65, &[3; 32]).unwrap()
}

#[test]
fn a_key_file_is_written_for_its_owner_alone_and_opens_again() {
    let folder = Folder::new();
    let path = folder.sealed_key();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
    let source = PassphraseSource::File(folder.file("pass", b"open sesame\n", 0o600));
    let opened = load(&path, Role::Transport, &source).unwrap();
    assert_eq!(opened.public_key(), key().public_key());
}

#[test]
fn a_key_file_is_not_overwritten_without_being_told() {
    let folder = Folder::new();
    let path = folder.sealed_key();
    let before = fs::read(&path).unwrap();
    let other = KeyFile::unsealed(&key(), Role::Transport);
    let refused = write(&path, &other, Overwrite::Refuse).unwrap_err();
    assert!(refused.to_string().contains("exists already; name a new file"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
    write(&path, &other, Overwrite::Replace).unwrap();
    assert!(!read(&path).unwrap().is_sealed());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = Folder::new();
    let path = folder.sealed_key();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains(&format!("chmod 600 {}", path.display())), "{message}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read(&path).unwrap();
    }
}

#[test]
fn an_unencrypted_file_asks_for_no_passphrase() {
    let folder = Folder::new();
    let path = folder.0.join("key");
    write(&path, &KeyFile::unsealed(&key(), Role::Transport), Overwrite::Refuse).unwrap();
    let nowhere = PassphraseSource::File(folder.0.join("missing"));
    load(&path, Role::Transport, &nowhere).unwrap();
}

#[test]
fn the_wrong_role_is_found_out_before_the_passphrase_is_asked_for() {
    let folder = Folder::new();
    let nowhere = PassphraseSource::File(folder.0.join("missing"));
    let message = load(&folder.sealed_key(), Role::Consensus, &nowhere).unwrap_err().to_string();
    assert!(message.contains("qcn key new --role consensus"), "{message}");
}

#[test]
fn passphrase_files_are_one_line() {
    let folder = Folder::new();
    let path = folder.sealed_key();
    let opened = |contents: &[u8], mode| {
        let source = PassphraseSource::File(folder.file("pass", contents, mode));
        load(&path, Role::Transport, &source).map(|_| ()).map_err(|error| error.to_string())
    };
    for good in [&b"open sesame"[..], b"open sesame\n", b"open sesame\r\n"] {
        opened(good, 0o600).unwrap();
    }
    // As orchestrators hand it to a container's group.
    opened(b"open sesame", 0o440).unwrap();
    for (contents, mode, part) in [
        (&b"open sesame\n\n"[..], 0o600, "several lines"),
        (b" open sesame", 0o600, "wrong passphrase"),
        (b"", 0o600, "1 to 1024 bytes"),
        (b"\n", 0o600, "1 to 1024 bytes"),
        (b"\xff", 0o600, "UTF-8"),
        (&[b'x'; 2000], 0o600, "1 to 1024 bytes"),
        (b"open sesame", 0o644, "chmod 600"),
    ] {
        let message = opened(contents, mode).unwrap_err();
        assert!(message.contains(part), "{message} does not say {part}");
    }
}

#[test]
fn what_is_no_key_file_is_named() {
    let folder = Folder::new();
    let long = vec![b' '; MAX_KEY_FILE_BYTES + 10];
    for (contents, part) in [
        (&b""[..], "no whole key file"),
        (b"{\"format\":\"qcn-genesis/1\"}", "qcn-key/1"),
        (b"\xff\xfe", "no whole key file"),
        (&long, "at most"),
    ] {
        let path = folder.file("key", contents, 0o600);
        let message = read(&path).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
        assert!(message.contains(part), "{message} does not say {part}");
    }
    let missing = read(&folder.0.join("missing")).unwrap_err().to_string();
    assert!(missing.contains("cannot read the file"), "{missing}");
    let directory = read(&folder.0).unwrap_err().to_string();
    assert!(directory.contains("cannot read the file"), "{directory}");
}
