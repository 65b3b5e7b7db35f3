//! Stateless verification of certificates, account proofs and evidence.
