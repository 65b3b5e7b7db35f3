//! Post-quantum signatures, domain-separated hashing, Merkle trees and the layered hash.
