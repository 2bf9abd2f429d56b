//! A double of the REST API of GitHub.
