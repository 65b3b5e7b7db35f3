//! Deterministic execution: accounts, transfers, fees and the authenticated state.
