//! Key files on disk, and where their passphrases come from.
//!
//! **Invariants**
//! - a key file is written with mode 0600, whole or not at all, and never over another unless told;
//! - a key file that anyone but its owner can read is not used;
//! - a passphrase is never an argument of a command, where every user of the machine sees it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use qcn_crypto::{
    KeyFile, KeystoreError, MAX_KEY_FILE_BYTES, MAX_PASSPHRASE_BYTES, Passphrase, Role, SigningKey,
};
use zeroize::Zeroizing;

use crate::document::{DocumentError, Overwrite, Readers, write_file};

/// The environment variable with the passphrase.
pub const PASSPHRASE_VARIABLE: &str = "QCN_PASSPHRASE";

/// Why a key file or its passphrase cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] DocumentError),
    /// The file cannot be read.
    #[error("{}: cannot read the file: {cause}; check the path and its permissions", file.display())]
    Read {
        /// The key or passphrase file.
        file: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Others could have copied the secret already.
    #[error("{file}: other users can read the file (mode {mode:03o}); run `chmod 600 {file}`, and make a new key if they may have done so", file = file.display())]
    ReadableByOthers {
        /// The key or passphrase file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The content is at fault.
    #[error("{}: {cause}", file.display())]
    Keystore {
        /// The key file.
        file: PathBuf,
        /// What is wrong with it.
        cause: KeystoreError,
    },
    /// The passphrase's source gives none.
    #[error("{source_name}: {what}; {remedy}")]
    Passphrase {
        /// The file, variable or terminal.
        source_name: String,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

/// Where a passphrase comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PassphraseSource {
    /// The first line of a file.
    File(PathBuf),
    /// The environment variable [`PASSPHRASE_VARIABLE`].
    Environment,
    /// Asked for on the terminal, without showing what is typed.
    Terminal,
}

impl PassphraseSource {
    /// The file if one is named, else the environment variable if it is set, else the terminal.
    #[must_use]
    pub fn choose(file: Option<&Path>) -> Self {
        match file {
            Some(file) => Self::File(file.to_owned()),
            None if std::env::var_os(PASSPHRASE_VARIABLE).is_some() => Self::Environment,
            None => Self::Terminal,
        }
    }

    /// The passphrase of a key file that exists.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the source and the remedy.
    pub fn passphrase(&self, key_file: &Path) -> Result<Passphrase, KeyFileError> {
        match self {
            Self::File(file) => from_file(file),
            Self::Environment => from_environment(),
            Self::Terminal => from_terminal(&format!("Passphrase of {}: ", key_file.display())),
        }
    }

    /// The passphrase for a key file that is about to be written; a terminal asks twice.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the source and the remedy.
    pub fn new_passphrase(&self, key_file: &Path) -> Result<Passphrase, KeyFileError> {
        if *self != Self::Terminal {
            return self.passphrase(key_file);
        }
        let first = from_terminal(&format!("New passphrase for {}: ", key_file.display()))?;
        if from_terminal("The same again: ")? == first {
            return Ok(first);
        }
        Err(terminal_error("the two differ".to_owned(), "try again"))
    }
}

/// Reads a key file that only its owner can read. The secret stays sealed.
///
/// # Errors
/// [`KeyFileError`], naming the file and the remedy.
pub fn read(path: &Path) -> Result<KeyFile, KeyFileError> {
    let bytes_max = MAX_KEY_FILE_BYTES as u64;
    let private = read_private(path, bytes_max, 0o077);
    if matches!(private, Err(KeyFileError::ReadableByOthers { .. })) {
        // What is no key needs no other permissions, and nobody has to make a new one for it.
        let bytes = read_private(path, bytes_max, 0)?;
        KeyFile::parse(&bytes).map_err(|cause| keystore_error(path, cause))?;
    }
    let bytes = private?;
    KeyFile::parse(&bytes).map_err(|cause| keystore_error(path, cause))
}

/// Reads a key file and opens it for a role; only a sealed one asks for the passphrase.
///
/// # Errors
/// [`KeyFileError`], naming the file and the remedy.
pub fn load(
    path: &Path,
    role: Role,
    passphrase: &PassphraseSource,
) -> Result<SigningKey, KeyFileError> {
    let file = read(path)?;
    // Before anyone is asked for a passphrase.
    file.check_role(role).map_err(|cause| keystore_error(path, cause))?;
    let passphrase = if file.is_sealed() {
        Some(passphrase.passphrase(path)?)
    } else {
        tracing::warn!(file = %path.display(), "the key file is not encrypted: for test networks only");
        None
    };
    file.open(role, passphrase.as_ref()).map_err(|cause| keystore_error(path, cause))
}

/// Reads another file with a secret, which only its owner can read either. It may have one byte
/// more than `bytes_max`, from which whoever uses it sees that it is too long.
///
/// # Errors
/// [`KeyFileError`], naming the file and the remedy.
pub fn read_secret(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    read_private(path, bytes_max, 0o077)
}

/// Writes a key file that only its owner can read.
///
/// # Errors
/// [`KeyFileError`], if the file exists and may not be replaced, or cannot be written.
pub fn write(path: &Path, file: &KeyFile, overwrite: Overwrite) -> Result<(), KeyFileError> {
    Ok(write_file(path, file.to_json().as_bytes(), Readers::Owner, overwrite)?)
}

fn keystore_error(path: &Path, cause: KeystoreError) -> KeyFileError {
    KeyFileError::Keystore { file: path.to_owned(), cause }
}

/// Reads a file with a secret. `refused` are the permissions that it may not give.
fn read_private(
    path: &Path,
    bytes_max: u64,
    refused: u32,
) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |cause| KeyFileError::Read { file: path.to_owned(), cause };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if metadata.is_file() && mode & refused != 0 {
            return Err(KeyFileError::ReadableByOthers { file: path.to_owned(), mode });
        }
    }
    // Room for one byte too many, by which the reader of the bytes sees that there are more; and
    // never grown, because that would leave copies behind.
    let room = metadata.len().min(bytes_max).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A passphrase file may be shared with a group, as orchestrators do it; not with everyone.
fn from_file(path: &Path) -> Result<Passphrase, KeyFileError> {
    let error = |what: String, remedy| KeyFileError::Passphrase {
        source_name: path.display().to_string(),
        what,
        remedy,
    };
    let bytes = read_private(path, MAX_PASSPHRASE_BYTES as u64 + 2, 0o007)?;
    let line = match bytes.as_slice() {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        line => line,
    };
    let text = std::str::from_utf8(line)
        .map_err(|_| error("it is not UTF-8".to_owned(), "save it as UTF-8"))?;
    if text.contains('\n') {
        let remedy = "put the passphrase on the only line of the file";
        return Err(error("it has several lines".to_owned(), remedy));
    }
    Passphrase::new(Zeroizing::new(text.to_owned()))
        .map_err(|wrong| error(wrong.to_string(), "write another passphrase into the file"))
}

fn from_environment() -> Result<Passphrase, KeyFileError> {
    let error = |what: String| KeyFileError::Passphrase {
        source_name: PASSPHRASE_VARIABLE.to_owned(),
        what,
        remedy: "set the variable to the passphrase, or unset it",
    };
    let text = std::env::var(PASSPHRASE_VARIABLE).map_err(|wrong| error(wrong.to_string()))?;
    Passphrase::new(Zeroizing::new(text)).map_err(|wrong| error(wrong.to_string()))
}

fn from_terminal(question: &str) -> Result<Passphrase, KeyFileError> {
    const REMEDY: &str =
        "give --passphrase-file FILE or set QCN_PASSPHRASE where nobody can be asked";
    if !io::stdin().is_terminal() {
        return Err(terminal_error(
            "a passphrase is needed, and there is no terminal".into(),
            REMEDY,
        ));
    }
    let text = rpassword::prompt_password(question).map_err(|wrong| {
        terminal_error(format!("cannot ask for the passphrase: {wrong}"), REMEDY)
    })?;
    Passphrase::new(Zeroizing::new(text))
        .map_err(|wrong| terminal_error(wrong.to_string(), "try again"))
}

fn terminal_error(what: String, remedy: &'static str) -> KeyFileError {
    KeyFileError::Passphrase { source_name: "terminal".to_owned(), what, remedy }
}

#[cfg(test)]
mod tests;
