//! Blocks whose signatures were checked, and the checking.
//!
//! Checking costs most of a validator's time and needs no state, so it happens outside the
//! machine, in a pool. The machine's door takes only [`Verified`] values.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use qcn_crypto::{ChainId, Digest, PublicKey, Scheme, VerifyingKey};

use crate::epoch::actor;
use crate::key_cache::KeyCache;
use crate::{
    Action, Announcement, AnnouncementError, BEACON, Block, BlockHeader, BlockRef, Committee,
    Delivery, DeliveryError, Epoch, Report, ReportError, ShardId, Transaction, TransactionBody,
    ValidatorIndex, verify_certificate,
};

/// A value whose signatures were checked. Only this module makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Verified<T> {
    /// The value, without the knowledge that it was checked.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A verified block with its name, shared by all who hold it.
#[derive(Clone, Debug)]
pub struct VerifiedBlock {
    checked: Arc<Checked>,
    reference: BlockRef,
}

/// What all who hold a block share: hundreds of simulated validators do.
#[derive(Debug)]
struct Checked {
    block: Verified<Block>,
    header: Digest,
}

impl VerifiedBlock {
    /// Only for blocks that were checked.
    fn new(block: Block, reference: BlockRef, header: Digest) -> Self {
        Self { checked: Arc::new(Checked { block: Verified(block), header }), reference }
    }

    /// The block's name.
    #[must_use]
    pub const fn reference(&self) -> BlockRef {
        self.reference
    }

    /// The digest of its header, which is expensive to have anew: it covers the whole payload.
    #[must_use]
    pub fn header_digest(&self) -> Digest {
        self.checked.header
    }
}

impl Deref for VerifiedBlock {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.checked.block
    }
}

impl PartialEq for VerifiedBlock {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference
    }
}

impl Eq for VerifiedBlock {}

/// Who is to blame for a block that does not verify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Culprit {
    /// Whoever sent it: the author never signed this.
    Sender,
    /// The author, who signed it.
    Author,
}

/// Why a block does not verify.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its author is no member, or it is of another chain, shard or epoch.
    #[error("the block is not of this committee")]
    ForeignBlock,
    /// The author's signature does not fit the digest.
    #[error("the block's signature is not its author's")]
    BlockSignature,
    /// The author signed a block with a transaction whose signature is invalid.
    #[error("the signature of transaction {index} in the block is invalid")]
    TransactionSignature {
        /// The position in the payload.
        index: usize,
    },
    /// The author signed a block with a transaction that uses a scheme not allowed for accounts.
    #[error("transaction {index} in the block uses {scheme}, which is not allowed for accounts")]
    TransactionScheme {
        /// The position in the payload.
        index: usize,
        /// What it uses, or rotates to.
        scheme: Scheme,
    },
    /// The author signed a block with a delivery that shows nothing.
    #[error("delivery {index} in the block shows nothing: {error}")]
    Delivery {
        /// The position in the payload.
        index: usize,
        /// What is wrong with it.
        error: DeliveryError,
    },
    /// The author signed a block with an announcement that announces nothing.
    #[error("the announcement in the block announces nothing: {0}")]
    Announcement(AnnouncementError),
    /// The author signed a block with a report that shows nothing, or of a shard that takes none.
    #[error("report {index} in the block shows nothing: {error}")]
    Report {
        /// The position in the payload.
        index: usize,
        /// What is wrong with it.
        error: ReportError,
    },
}

impl VerifyError {
    /// Who is to blame.
    #[must_use]
    pub const fn culprit(&self) -> Culprit {
        match self {
            Self::ForeignBlock
            | Self::BlockSignature
            // Who knows fewer committees than the author proves nothing against it.
            | Self::Delivery { error: DeliveryError::UnknownCommittee, .. }
            | Self::Announcement(AnnouncementError::UnknownCommittee)
            | Self::Report { error: ReportError::UnknownCommittee, .. } => Culprit::Sender,
            Self::Delivery { .. }
            | Self::Announcement(_)
            | Self::Report { .. }
            | Self::TransactionSignature { .. } | Self::TransactionScheme { .. } => Culprit::Author,
        }
    }
}

/// A committee with its keys decoded once, and those of accounts as long as they are in use.
#[derive(Clone)]
pub struct CommitteeKeys {
    chain: ChainId,
    committee: Arc<Committee>,
    keys: Arc<[VerifyingKey]>,
    /// The schemes that accounts may use, one bit for the number of each.
    account_schemes: u16,
    accounts: Arc<KeyCache>,
    /// The committees of other shards, whose certificates blocks may carry.
    sources: Arc<BTreeMap<(ShardId, Epoch), Self>>,
    /// Who acts for the shards that were closed before this epoch.
    heirs: Arc<[(ShardId, ShardId)]>,
}

impl fmt::Debug for CommitteeKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CommitteeKeys({:?}, {:?})", self.chain, self.committee)
    }
}

impl CommitteeKeys {
    /// Decodes the keys of all members. Accounts may use every scheme.
    ///
    /// # Errors
    /// The first member whose key does not decode.
    pub fn decode(
        chain: ChainId,
        committee: Arc<Committee>,
    ) -> Result<Self, (ValidatorIndex, qcn_crypto::KeyError)> {
        let mut keys = Vec::with_capacity(committee.len());
        for (index, member) in committee.indices().zip(committee.members()) {
            keys.push(VerifyingKey::decode(&member.key).map_err(|error| (index, error))?);
        }
        let accounts = Arc::new(KeyCache::new());
        let (keys, sources, heirs) = (keys.into(), Arc::default(), Arc::default());
        Ok(Self { chain, committee, keys, account_schemes: u16::MAX, accounts, sources, heirs })
    }

    /// Lets blocks carry certificates of these committees of other shards.
    #[must_use]
    pub fn with_sources(self, sources: impl IntoIterator<Item = Self>) -> Self {
        let place = |keys: &Self| (keys.committee.shard(), keys.committee.epoch());
        let sources = sources.into_iter().map(|keys| (place(&keys), keys)).collect();
        Self { sources: Arc::new(sources), ..self }
    }

    /// Says who acts for closed shards in the epoch of this committee, as
    /// [`crate::EpochPlan::heirs`] has it. A rule of the network: without them a block for a shard
    /// that this one acts for is invalid, so who judges evidence must know them as well.
    #[must_use]
    pub fn with_heirs(self, heirs: Arc<[(ShardId, ShardId)]>) -> Self {
        Self { heirs, ..self }
    }

    /// Whether the committee answers for a number: its shard's own, or that of one that its shard
    /// has absorbed.
    #[must_use]
    pub fn acts_for(&self, number: ShardId) -> bool {
        actor(&self.heirs, number) == self.committee.shard()
    }

    /// Gives the members other names. Names are for people and decide nothing; a committee that
    /// differs in more than names changes nothing.
    #[must_use]
    pub fn with_names_of(self, named: Committee) -> Self {
        let is_same = named.shard() == self.committee.shard()
            && named.epoch() == self.committee.epoch()
            && named.len() == self.committee.len()
            && named
                .members()
                .iter()
                .zip(self.committee.members())
                .all(|(one, other)| (&one.key, one.weight) == (&other.key, other.weight));
        if is_same { Self { committee: Arc::new(named), ..self } } else { self }
    }

    /// Lets accounts use these schemes only. It is a rule of the network: a block with another one
    /// is invalid.
    #[must_use]
    pub fn with_account_schemes(self, schemes: impl IntoIterator<Item = Scheme>) -> Self {
        let account_schemes = schemes.into_iter().map(bit_of).fold(0, std::ops::BitOr::bitor);
        Self { account_schemes, ..self }
    }

    /// The network.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The committee.
    #[must_use]
    pub const fn committee(&self) -> &Arc<Committee> {
        &self.committee
    }

    /// A member's decoded key.
    #[must_use]
    pub fn key(&self, index: ValidatorIndex) -> Option<&VerifyingKey> {
        self.keys.get(index.position())
    }

    /// Checks the author's signature and every transaction signature of a block.
    ///
    /// # Errors
    /// [`VerifyError`], whose culprit is the sender or the author.
    pub fn verify_block(&self, mut block: Block) -> Result<VerifiedBlock, VerifyError> {
        let (reference, header) = self.verify_author(&block)?;
        for (index, transaction) in block.body.payload.transactions.iter_mut().enumerate() {
            if let Some(scheme) = self.disallowed_scheme(transaction) {
                return Err(VerifyError::TransactionScheme { index, scheme });
            }
            let Some(key) = self.signer(transaction) else {
                return Err(VerifyError::TransactionSignature { index });
            };
            transaction.key = key;
        }
        for (index, delivery) in block.body.payload.deliveries.iter().enumerate() {
            self.check_delivery(delivery)
                .map_err(|error| VerifyError::Delivery { index, error })?;
        }
        for announcement in &block.body.payload.announcement {
            self.check_announcement(announcement).map_err(VerifyError::Announcement)?;
        }
        for (index, report) in block.body.payload.reports.iter().enumerate() {
            self.check_report(report).map_err(|error| VerifyError::Report { index, error })?;
        }
        Ok(VerifiedBlock::new(block, reference, header))
    }

    /// Checks that a delivery carries what a quorum certified for this shard, whose word counts for
    /// the source of the lane.
    ///
    /// # Errors
    /// The first defect; the certificate's signatures come last.
    pub fn check_delivery(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        delivery.check_lane(|number| self.acts_for(number))?;
        let checkpoint = &delivery.certificate.checkpoint;
        let source = self.source(checkpoint.shard, checkpoint.epoch);
        let source = source.ok_or(DeliveryError::UnknownCommittee)?;
        if !source.acts_for(delivery.source()) {
            return Err(DeliveryError::OtherSource);
        }
        Ok(verify_certificate(&delivery.certificate, source)?)
    }

    /// Checks that the beacon of this epoch has certified the plan of the next one.
    ///
    /// # Errors
    /// The first defect; the certificate's signatures come last.
    pub fn check_announcement(&self, announcement: &Announcement) -> Result<(), AnnouncementError> {
        let epoch = self.committee.epoch();
        announcement.check_plan(epoch)?;
        let beacon = if self.committee.shard() == BEACON {
            self
        } else {
            self.source(BEACON, epoch).ok_or(AnnouncementError::UnknownCommittee)?
        };
        Ok(verify_certificate(&announcement.certificate, beacon)?)
    }

    /// Takes in an announcement.
    ///
    /// # Errors
    /// See [`CommitteeKeys::check_announcement`].
    pub fn verify_announcement(
        &self,
        announcement: Announcement,
    ) -> Result<Verified<Announcement>, AnnouncementError> {
        self.check_announcement(&announcement)?;
        Ok(Verified(announcement))
    }

    /// Takes in a report for a block of the beacon.
    ///
    /// # Errors
    /// See [`CommitteeKeys::check_report`].
    pub fn verify_report(&self, report: Report) -> Result<Verified<Report>, ReportError> {
        self.check_report(&report)?;
        Ok(Verified(report))
    }

    /// The committee of another shard in an epoch, if its certificates are taken here.
    #[must_use]
    pub fn source(&self, shard: ShardId, epoch: Epoch) -> Option<&Self> {
        self.sources.get(&(shard, epoch))
    }

    /// How many seats all committees have together whose certificates are taken here.
    #[must_use]
    pub fn seats_of_sources(&self) -> usize {
        self.sources.values().map(|keys| keys.committee().len()).sum()
    }

    /// Takes in a delivery that a relayer hands over.
    ///
    /// # Errors
    /// See [`CommitteeKeys::check_delivery`].
    pub fn verify_delivery(&self, delivery: Delivery) -> Result<Verified<Delivery>, DeliveryError> {
        self.check_delivery(&delivery)?;
        Ok(Verified(delivery))
    }

    /// The scheme that a transaction uses, or rotates to, and that accounts may not use.
    #[must_use]
    pub fn disallowed_scheme(&self, transaction: &Transaction) -> Option<Scheme> {
        let rotates_to = match &transaction.body.action {
            Action::RotateKey { key, .. } => Some(key.scheme()),
            Action::Transfer { .. } => None,
        };
        let mut used = std::iter::once(transaction.key.scheme()).chain(rotates_to);
        used.find(|scheme| self.account_schemes & bit_of(*scheme) == 0)
    }

    /// Whether a valid block may carry a transaction.
    #[must_use]
    pub fn accepts(&self, transaction: &Transaction) -> bool {
        self.disallowed_scheme(transaction).is_none() && self.signer(transaction).is_some()
    }

    /// Checks a transaction's signature, with the key from memory where it signed before.
    ///
    /// # Errors
    /// The transaction, if its signature is not that of the key it carries.
    pub fn verify_transaction(
        &self,
        mut transaction: Transaction,
    ) -> Result<Verified<Transaction>, Box<Transaction>> {
        match self.signer(&transaction) {
            Some(key) => {
                transaction.key = key;
                Ok(Verified(transaction))
            }
            None => Err(Box::new(transaction)),
        }
    }

    /// The key of a transaction that it has signed: the same one, but shared with all others of the
    /// account. Where the transaction takes it, its own copy need not be held as long as its block,
    /// and that is more than half of it.
    fn signer(&self, transaction: &Transaction) -> Option<PublicKey> {
        let key = self.accounts.decode(&transaction.key).ok()?;
        has_signed(&key, transaction, self.chain).then(|| key.public_key().clone())
    }

    /// Checks the author's signature of a block that was composed here. Its transactions and
    /// deliveries were checked when they were handed in, and a block may carry thousands.
    ///
    /// # Errors
    /// [`VerifyError`] if this key did not sign this block for this committee.
    pub fn verify_composed(&self, block: Block) -> Result<VerifiedBlock, VerifyError> {
        let (reference, header) = self.verify_author(&block)?;
        Ok(VerifiedBlock::new(block, reference, header))
    }

    /// Checks that the block is of this committee and signed by its author: its name and the
    /// digest of its header.
    fn verify_author(&self, block: &Block) -> Result<(BlockRef, Digest), VerifyError> {
        let body = &block.body;
        let ours = body.chain == self.chain
            && body.shard == self.committee.shard()
            && body.epoch == self.committee.epoch();
        let Some(key) = self.key(body.author).filter(|_| ours) else {
            return Err(VerifyError::ForeignBlock);
        };
        let header = body.header();
        let digest = header.block_digest(&body.attestations);
        let context = BlockHeader::signing_context(self.chain);
        key.verify(&context, digest.as_bytes(), &block.signature)
            .map_err(|_| VerifyError::BlockSignature)?;
        let reference = BlockRef { round: body.round, author: body.author, digest };
        Ok((reference, header.digest()))
    }
}

const fn bit_of(scheme: Scheme) -> u16 {
    1 << scheme as u8
}

fn has_signed(key: &VerifyingKey, transaction: &Transaction, chain: ChainId) -> bool {
    let context = TransactionBody::signing_context(chain);
    key.verify(&context, &crate::encode(&transaction.body), &transaction.signature).is_ok()
}

impl Verified<Transaction> {
    /// Checks a transaction's signature.
    ///
    /// # Errors
    /// The transaction, if its signature is not that of the key it carries.
    pub fn check(transaction: Transaction, chain: ChainId) -> Result<Self, Box<Transaction>> {
        let key = VerifyingKey::decode(&transaction.key);
        if key.is_ok_and(|key| has_signed(&key, &transaction, chain)) {
            Ok(Self(transaction))
        } else {
            Err(Box::new(transaction))
        }
    }
}

#[cfg(test)]
mod tests;
