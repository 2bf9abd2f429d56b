//! The faults that can be repaired: a closed list, so that metrics can begin each kind at zero.

/// A fault that was repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recovery {
    /// A delivery that GitHub could not hand over was requested again.
    LostDelivery,
    /// A job that GitHub, when asked, reported as running.
    MissedInProgress,
    /// A job that GitHub, when asked, reported as ended.
    MissedCompleted,
    /// A job that we held as running and that GitHub has queued again.
    RequeuedJob,
    /// A job that was given up, and that GitHub says is queued.
    RevivedJob,
    /// A job that GitHub no longer knows, or whose run is over.
    LostJob,
    /// A job that no delivery reported: a listing of runs showed it.
    UnheardJob,
    /// A live pod with our labels and without a row.
    AdoptedPod,
    /// A pod that no row needs.
    LeftOverPod,
    /// A registration that no worker needs.
    LeftOverRegistration,
}

impl Recovery {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::LostDelivery,
        Self::MissedInProgress,
        Self::MissedCompleted,
        Self::RequeuedJob,
        Self::RevivedJob,
        Self::LostJob,
        Self::UnheardJob,
        Self::AdoptedPod,
        Self::LeftOverPod,
        Self::LeftOverRegistration,
    ];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LostDelivery => "lost_delivery",
            Self::MissedInProgress => "missed_in_progress",
            Self::MissedCompleted => "missed_completed",
            Self::RequeuedJob => "requeued_job",
            Self::RevivedJob => "revived_job",
            Self::LostJob => "lost_job",
            Self::UnheardJob => "unheard_job",
            Self::AdoptedPod => "adopted_pod",
            Self::LeftOverPod => "left_over_pod",
            Self::LeftOverRegistration => "left_over_registration",
        }
    }
}
