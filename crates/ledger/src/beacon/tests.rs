mod layout;
mod membership;
mod offences;
mod parameters;
mod random;
mod randomness;
mod state;
