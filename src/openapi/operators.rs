//! What operators ask and order over REST.

use super::table::Operation;

/// Every operation of theirs.
pub(super) const OPERATORS: &[Operation] = &[
    Operation(
        "get",
        "/api/admin/sessions",
        "All sessions. Query: phase, q, owner, sort, order, page, limit.",
        None,
        Some("SessionList"),
        200,
    ),
    Operation(
        "get",
        "/api/admin/sessions/{id}",
        "One session whole.",
        None,
        Some("AdminSession"),
        200,
    ),
    Operation("delete", "/api/admin/sessions/{id}", "Delete a session.", None, None, 204),
    Operation(
        "post",
        "/api/admin/sessions/{id}/stop",
        "Stop a session.",
        None,
        Some("SessionBody"),
        202,
    ),
    Operation(
        "get",
        "/api/admin/sessions/{id}/log",
        "The sandbox's own last lines. Query: tail.",
        None,
        None,
        200,
    ),
    Operation(
        "post",
        "/api/admin/drain",
        "Take no new sessions and let running ones sleep.",
        None,
        None,
        200,
    ),
    Operation(
        "post",
        "/api/admin/reconcile",
        "Compare sessions with sandboxes now, and mend.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/admin/overview",
        "Figures of this moment and of the last day; for operators.",
        None,
        Some("AdminOverview"),
        200,
    ),
    Operation(
        "get",
        "/api/admin/engine",
        "What the engine is, what it can't do of the configuration, and how many starts wait.",
        None,
        Some("AdminEngine"),
        200,
    ),
    Operation(
        "get",
        "/api/admin/config",
        "The effective configuration, secrets masked.",
        None,
        None,
        200,
    ),
];
