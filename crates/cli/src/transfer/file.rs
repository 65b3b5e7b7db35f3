//! Signed transactions in files: sign on one machine, submit from another.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use qcn_crypto::{ChainId, from_hex, to_hex};
use qcn_types::{Action, Transaction, decode, encode};
use serde::{Deserialize, Serialize};

use super::Signed;

/// The format of this version.
const FORMAT: &str = "qcn-transaction/1";
/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file. What it shows is for people; what counts is inside the transaction.
#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    chain_id: String,
    id: String,
    shows: String,
    transaction: String,
}

/// Writes a new file.
pub fn write(path: &Path, signed: &Signed) -> anyhow::Result<()> {
    let body = &signed.transaction.body;
    let what = match &body.action {
        Action::Transfer { to, amount } => format!("{amount} to {to}"),
        Action::RotateKey { key, .. } => format!("the new key {}", key.digest()),
    };
    let document = Document {
        format: FORMAT.to_owned(),
        chain_id: signed.chain.to_string(),
        id: body.id().to_string(),
        shows: format!("{what}, from {}, nonce {}, fee {}", body.sender, body.nonce, body.fee),
        transaction: to_hex(&encode(&signed.transaction)),
    };
    let text = serde_json::to_string_pretty(&document)?;
    let mut file = std::fs::File::create_new(path).with_context(|| {
        format!("--out: cannot create {}; name a file that does not exist yet", path.display())
    })?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .with_context(|| format!("--out: cannot write {}", path.display()))
}

/// Reads what [`write`] wrote.
pub fn read(path: &Path) -> anyhow::Result<Signed> {
    let shown = path.display();
    let read = || format!("--submit: cannot read {shown}");
    let length = std::fs::metadata(path).with_context(read)?.len();
    ensure!(
        length <= FILE_BYTES_MAX,
        "--submit: {shown} has {length} bytes, and a transaction has at most {FILE_BYTES_MAX}"
    );
    let text = std::fs::read_to_string(path).with_context(read)?;
    parse(&text).with_context(|| {
        format!("--submit: {shown} is no signed transaction; give one that --out FILE wrote")
    })
}

fn parse(text: &str) -> anyhow::Result<Signed> {
    let document: Document = serde_json::from_str(text)?;
    ensure!(document.format == FORMAT, "member format: it is not {FORMAT}");
    let chain = ChainId(document.chain_id.parse().context("member chain_id")?);
    let bytes = from_hex(&document.transaction).context("member transaction")?;
    let transaction: Transaction = decode(&bytes).context("member transaction")?;
    ensure!(
        document.id == transaction.body.id().to_string(),
        "member id: it is not that of the transaction"
    );
    Ok(Signed { chain, transaction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qcn_crypto::{Scheme, SigningKey};
    use qcn_types::{Address, Amount, TransactionBody};

    fn signed() -> Signed {
        let key = SigningKey::from_seed(Scheme::Falcon512, &[7; 32]).unwrap();
        let body = TransactionBody {
            sender: Address::of(key.public_key()),
            nonce: 3,
            fee: Amount(1),
            action: Action::Transfer { to: Address::default(), amount: Amount(5) },
        };
        let chain = ChainId::default();
        let context = TransactionBody::signing_context(chain);
        let signature = key.sign(&context, &encode(&body)).unwrap();
        Signed {
            chain,
            transaction: Transaction { body, key: key.public_key().clone(), signature },
        }
    }

    #[test]
    fn a_written_transaction_is_read_back_and_never_overwritten() {
        let path = std::env::temp_dir().join(format!("qcn-signed-{}.json", std::process::id()));
        let _ = std::fs::remove_file(&path);
        write(&path, &signed()).unwrap();
        assert_eq!(read(&path).unwrap().transaction.body, signed().transaction.body);
        let error = format!("{:#}", write(&path, &signed()).unwrap_err());
        assert!(error.contains("does not exist yet"), "{error}");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for (wrong, place) in [
            (text.replace("transaction/1", "transaction/9"), "format"),
            (text.replace("\"id\": \"", "\"id\": \"00"), "member id"),
            (text.replace("\"transaction\": \"", "\"transaction\": \"0"), "member transaction"),
            (text.replace("\"chain_id\": \"", "\"chain_id\": \"x"), "member chain_id"),
        ] {
            let error = format!("{:#}", parse(&wrong).unwrap_err());
            assert!(error.contains(place), "{place}: {error}");
        }
    }
}
