//! What every cluster must do.
