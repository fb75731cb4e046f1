//! What may be asked of a workspace's git repository.
