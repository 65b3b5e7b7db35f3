//! What the transport counts. Everything that a peer can provoke has a counter.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// Something that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Count {
            $($(#[$doc])+ $variant,)+
        }

        impl Count {
            /// All of them, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in metrics: lower case with underscores.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

counts! {
    /// Incoming connections that came up.
    HandshakeAccepted => "handshakes_accepted",
    /// Own dials that came up.
    HandshakeDialled => "handshakes_dialled",
    /// Refused: a key that no validator of the set has.
    UnknownKey => "refused_unknown_key",
    /// Refused: a key that offers to be a client's and is not among those that are allowed.
    UnknownClient => "refused_unknown_client",
    /// Refused: the own key, by dialling oneself or by somebody who shows it.
    OwnKey => "refused_own_key",
    /// Refused: another validator's key than the one that was dialled.
    UnexpectedKey => "refused_unexpected_key",
    /// Refused: a known public key without its secret.
    WrongSignature => "refused_wrong_signature",
    /// Refused: no key that could be accepted was shown.
    NoKey => "refused_no_key",
    /// Refused: another chain, role or version of the protocol.
    WrongProtocol => "refused_wrong_protocol",
    /// Refused: no post-quantum key exchange or no other common parameter.
    NoCommonParameters => "refused_no_common_parameters",
    /// Refused: the handshake or its confirmation took too long.
    HandshakeTimeout => "refused_timeout",
    /// Refused: the handshake was malformed or was broken off.
    HandshakeBroken => "refused_broken",
    /// Refused: something else than the confirmation after the handshake.
    NotConfirmed => "refused_not_confirmed",
    /// Refused: too many handshakes were under way.
    TooManyHandshakes => "refused_too_many",
    /// Refused: too many handshakes from one address within a second.
    TooManyOfAddress => "refused_address_rate",
    /// Refused: too many handshakes of one address were under way.
    TooManyAtOnceOfAddress => "refused_address_places",
    /// Refused: too many unconfirmed connections of one peer.
    TooManyOfPeer => "refused_peer_rate",
    /// Refused: too many connections of clients, of all or of one key.
    TooManyClients => "refused_too_many_clients",
    /// Incoming handshakes whose sender was asked to prove its address.
    AddressProofAsked => "address_proofs_asked",
    /// Connections of clients that came up.
    ClientAccepted => "clients_accepted",
    /// Connections of clients that ended.
    ClientEnded => "clients_ended",
    /// Streams of clients, each with a connection to the API.
    ClientStream => "client_streams",
    /// Connections that were given up because another one of the pair stood.
    Duplicate => "duplicates",
    /// Times that the socket failed and was opened again.
    SocketLost => "sockets_lost",
    /// Dials after the first to an address.
    Redial => "redials",
    /// Dials that did not come up.
    DialFailed => "dials_failed",
    /// Connections that ended after they were up.
    Down => "connections_ended",
    /// Frames sent.
    FramesOut => "frames_out",
    /// Bytes of frames sent.
    BytesOut => "bytes_out",
    /// Frames received.
    FramesIn => "frames_in",
    /// Bytes of frames received.
    BytesIn => "bytes_in",
    /// Frames that were dropped because a queue was full, the oldest first.
    FramesDropped => "frames_dropped",
    /// Messages of peers that were dropped because the disk could not keep up.
    MessageDropped => "messages_dropped_disk_behind",
    /// Own frames that were larger than their class allows, and not sent.
    OwnFrameTooLong => "own_frames_too_long",
    /// Connections closed for a frame above the bound of its class.
    FrameTooLong => "frames_too_long",
    /// Connections closed for a frame that arrived too slowly.
    FrameTooSlow => "frames_too_slow",
    /// Connections closed for anything else that the protocol does not have.
    Violation => "violations",
    /// Times that reading paused because a peer was over its budget.
    Throttled => "throttled",
    /// Peer records that were new and genuine.
    RecordAccepted => "records_accepted",
    /// Peer records that were not genuine, or came too fast.
    RecordRefused => "records_refused",
}

/// The counters at one moment, since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters(Vec<u64>);

impl Counters {
    /// One counter.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    /// All counters.
    pub fn iter(&self) -> impl Iterator<Item = (Count, u64)> + '_ {
        Count::ALL.iter().copied().zip(self.0.iter().copied())
    }

    /// Incoming and outgoing handshakes that were refused, for whatever reason.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let refused = self.iter().filter(|(count, _)| count.name().starts_with("refused_"));
        refused.map(|(_, value)| value).sum()
    }
}

/// Where the counting is done.
#[derive(Debug)]
pub(super) struct Counting(Vec<AtomicU64>);

impl Counting {
    pub(super) fn new() -> Self {
        Self(Count::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn add(&self, count: Count, amount: u64) {
        self.0[count as usize].fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn one(&self, count: Count) {
        self.add(count, 1);
    }

    pub(super) fn read(&self) -> Counters {
        Counters(self.0.iter().map(|value| value.load(Ordering::Relaxed)).collect())
    }
}
