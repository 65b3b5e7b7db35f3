//! How keys, signatures, schemes, addresses and amounts stand in a JSON document.

/// A list of schemes by name, each once.
pub(super) mod schemes {
    use std::collections::BTreeSet;

    use qcn_crypto::Scheme;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        schemes: &BTreeSet<Scheme>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(schemes.iter().map(|scheme| scheme.name()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<Scheme>, D::Error> {
        let mut schemes = BTreeSet::new();
        for name in Vec::<String>::deserialize(deserializer)? {
            let scheme: Scheme = name.parse().map_err(D::Error::custom)?;
            if !schemes.insert(scheme) {
                return Err(D::Error::custom(format!("{scheme} is named twice")));
            }
        }
        Ok(schemes)
    }
}

/// `{"scheme": NAME, "key": HEX}`.
pub(super) mod public_key {
    use qcn_crypto::{PublicKey, Scheme, from_hex};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Words {
        scheme: String,
        key: String,
    }

    pub fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        Words { scheme: key.scheme().to_string(), key: key.to_string() }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        let words = Words::deserialize(deserializer)?;
        let scheme: Scheme = words.scheme.parse().map_err(D::Error::custom)?;
        let bytes = from_hex(&words.key).map_err(D::Error::custom)?;
        PublicKey::new(scheme, &bytes).map_err(D::Error::custom)
    }
}

/// A public key that may be missing as a whole.
pub(super) mod public_key_option {
    use qcn_crypto::PublicKey;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        key: &Option<PublicKey>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => super::public_key::serialize(key, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PublicKey>, D::Error> {
        super::public_key::deserialize(deserializer).map(Some)
    }
}

/// A signature in hexadecimal.
pub(super) mod signature {
    use qcn_crypto::{Signature, from_hex};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        signature: &Signature,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(signature)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signature, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text).map_err(D::Error::custom)?;
        Signature::new(bytes).map_err(D::Error::custom)
    }
}

/// A signature that may be missing as a whole.
pub(super) mod signature_option {
    use qcn_crypto::Signature;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        signature: &Option<Signature>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match signature {
            Some(signature) => super::signature::serialize(signature, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Signature>, D::Error> {
        super::signature::deserialize(deserializer).map(Some)
    }
}

/// A digest in hexadecimal.
pub(super) mod digest {
    use qcn_crypto::Digest;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A digest in hexadecimal that may be missing as a whole.
pub(super) mod digest_option {
    use qcn_crypto::Digest;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        digest: &Option<Digest>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => serializer.collect_str(digest),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Digest>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Some).map_err(D::Error::custom)
    }
}

/// An address in hexadecimal.
pub(super) mod address {
    use qcn_types::Address;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Address).map_err(D::Error::custom)
    }
}

/// An amount: written as a string, read as a string or a number.
pub(super) mod amount {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(amount: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Digits)
    }

    struct Digits;

    impl Visitor<'_> for Digits {
        type Value = u64;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "a whole number up to {}, or a string of its digits", u64::MAX)
        }

        fn visit_u64<E: Error>(self, amount: u64) -> Result<u64, E> {
            Ok(amount)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(|| {
                E::custom(format!("a string of digits up to {} is expected", u64::MAX))
            })
        }
    }
}
