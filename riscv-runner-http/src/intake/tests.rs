//! Every row of the contract for webhooks, over the router.
