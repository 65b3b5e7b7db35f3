//! What registrations and rotations have in common as documents: they are read, checked, written and
//! kept in the same way.

use std::path::{Path, PathBuf};

use qcn_crypto::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{check_chain, need_epochs};
use crate::document::{
    DocumentError, Overwrite, Problem, Readers, parse_json, read_text, write_file,
};
use crate::genesis::Genesis;

/// The longest document; one with a recovery key has 30,000 bytes.
const MAX_BYTES: u64 = 256 << 10;

/// What somebody states about a validator, with the proofs of it.
pub trait Statement: Sized + Clone {
    /// How documents name their form.
    const FORMAT: &'static str;
    /// Where nodes keep them, below their epochs.
    const FOLDER: &'static str;
    /// What hands them in again.
    const HAND_IN: &'static str;
    /// How it stands in a file.
    type Document: Serialize + DeserializeOwned;

    /// The document, for a network.
    fn document(self, chain: Digest) -> Self::Document;

    /// The network that a document is for, and what it states, of which nothing was checked.
    fn of_document(document: Self::Document) -> Result<(Digest, Self), Problem>;

    /// Under what a node keeps it.
    fn kept_under(&self) -> Digest;

    /// Checks schemes, form and every proof.
    fn check(&self, genesis: &Genesis) -> Result<(), Problem>;
}

/// A statement that was checked against a genesis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MembershipFile<S> {
    chain: Digest,
    pub(super) statement: S,
}

impl<S: Statement> MembershipFile<S> {
    /// Checks what was just made as others will, so that its operator hears of a mistake first.
    pub(super) fn made(statement: S, name: &str, genesis: &Genesis) -> Result<Self, DocumentError> {
        let file = Self { chain: genesis.chain().0, statement };
        file.check(genesis).map_err(|problem| problem.in_file(name))?;
        Ok(file)
    }

    /// Reads a file, and checks it against the genesis of a network.
    ///
    /// # Errors
    /// [`DocumentError`], naming the file, the place and the remedy.
    pub fn read(path: &Path, genesis: &Genesis) -> Result<Self, DocumentError> {
        Self::parse(&read_text(path, MAX_BYTES)?, &path.display().to_string(), genesis)
    }

    /// Checks a document; `name` stands for its file in errors.
    ///
    /// # Errors
    /// [`DocumentError`], naming the place and the remedy.
    pub fn parse(text: &str, name: &str, genesis: &Genesis) -> Result<Self, DocumentError> {
        need_epochs(genesis)?;
        let file = Self::formed(text, name)?;
        file.check(genesis).map_err(|problem| problem.in_file(name))?;
        Ok(file)
    }

    /// Writes the document to a file, whole or not at all.
    ///
    /// # Errors
    /// [`DocumentError`], if the file exists and may not be replaced, or cannot be written.
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<(), DocumentError> {
        write_file(path, self.to_json().as_bytes(), Readers::Everyone, overwrite)
    }

    /// Keeps the document in the data folder of a node, which hands it in.
    ///
    /// # Errors
    /// [`DocumentError`], if it cannot be written.
    pub fn keep(&self, data: &Path) -> Result<(), DocumentError> {
        self.write(&Self::place(data, &self.digest()), Overwrite::Replace)
    }

    /// What a node keeps under a digest. It was checked when it was put there, and will be by
    /// everybody to whom it is handed.
    ///
    /// # Errors
    /// [`DocumentError`], if there is none.
    pub fn kept(data: &Path, digest: &Digest) -> Result<S, DocumentError> {
        let path = Self::place(data, digest);
        let name = path.display().to_string();
        let file = Self::formed(&read_text(&path, MAX_BYTES)?, &name)?;
        if file.digest() != *digest {
            let what = format!("its digest is {}", file.digest());
            return Err(DocumentError::new(&name, "", what, format!("run `{}` again", S::HAND_IN)));
        }
        Ok(file.statement)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = self.statement.clone().document(self.chain);
        let mut text = serde_json::to_string_pretty(&document).expect("it has a JSON form");
        text.push('\n');
        text
    }

    /// Under what a node keeps it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.statement.kept_under()
    }

    /// A document of the right form, of which nothing else was checked.
    fn formed(text: &str, name: &str) -> Result<Self, DocumentError> {
        let document = parse_json(text, name, S::FORMAT)?;
        let (chain, statement) =
            S::of_document(document).map_err(|problem| problem.in_file(name))?;
        Ok(Self { chain, statement })
    }

    fn check(&self, genesis: &Genesis) -> Result<(), Problem> {
        check_chain(self.chain, genesis)?;
        self.statement.check(genesis)
    }

    fn place(data: &Path, digest: &Digest) -> PathBuf {
        data.join("epochs").join(S::FOLDER).join(format!("{digest}.json"))
    }
}
