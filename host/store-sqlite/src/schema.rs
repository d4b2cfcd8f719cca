//! Tables, and how an older file becomes a newer one.
//!
//! `user_version` counts the migrations a file has seen. A file that has seen more than this program knows is refused, never
//! guessed at. `application_id` marks the file as ours.
//!
//! Documents are JSON text. What a query asks for is repeated in columns or side tables, written in the same transaction:
//!
//! * `record` is the small head of a record, `record_document` its own fields, `record_item` one row per item of its lists, so
//!   that a change to one item costs one row whatever the size of the record.
//! * `resource.sides` holds, as JSON, the rows of the three side tables that belong to the resource. When a write leaves it as
//!   it is, none of them is touched.
//! * A journal entry that was forgotten stays as a row with `forgotten = 1`, so that its number is never given again. The end of an
//!   element or an operation takes all but the last of them out.

/// Marks a SQLite file as vimhost's: "vimh" in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x7669_6d68;

/// One entry per schema version, oldest first. An entry that was released is never edited.
pub(crate) const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3, VERSION_4];

const VERSION_1: &str = "
CREATE TABLE probe(id INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
INSERT INTO probe(id, count) VALUES (1, 0);

CREATE TABLE installation(id INTEGER PRIMARY KEY, letters TEXT NOT NULL) STRICT;
INSERT INTO installation(id, letters) VALUES (1, char(
    97 + abs(random() % 26), 97 + abs(random() % 26), 97 + abs(random() % 26),
    97 + abs(random() % 26), 97 + abs(random() % 26)));

CREATE TABLE account(
    target TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease(
    target TEXT PRIMARY KEY,
    host TEXT,
    fence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE record(
    key INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    name TEXT NOT NULL,
    service TEXT
) STRICT;
CREATE UNIQUE INDEX record_id ON record(collection, id);
CREATE INDEX record_service ON record(service, key) WHERE service IS NOT NULL;

CREATE TABLE record_document(record INTEGER PRIMARY KEY, doc TEXT NOT NULL) STRICT;

CREATE TABLE record_item(
    key INTEGER PRIMARY KEY,
    record INTEGER NOT NULL,
    list TEXT NOT NULL,
    position INTEGER NOT NULL,
    item TEXT,
    doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_item_position ON record_item(record, list, position);
CREATE UNIQUE INDEX record_item_id ON record_item(record, list, item) WHERE item IS NOT NULL;

CREATE TABLE service(nsr TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE key_pair(nsr TEXT PRIMARY KEY, public_key TEXT NOT NULL, private_key TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE action(
    key INTEGER PRIMARY KEY,
    nsr TEXT NOT NULL,
    action TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX action_id ON action(nsr, action);
CREATE INDEX action_service ON action(nsr, key);

CREATE TABLE text(digest TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
CREATE TABLE text_service(nsr TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY(nsr, digest)) STRICT, WITHOUT ROWID;
CREATE INDEX text_service_digest ON text_service(digest);

CREATE TABLE resource(
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    target TEXT NOT NULL,
    item TEXT NOT NULL,
    revision INTEGER NOT NULL,
    unsettled INTEGER NOT NULL,
    made INTEGER NOT NULL,
    element TEXT,
    sides TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX resource_id ON resource(id);
CREATE INDEX resource_unsettled ON resource(target, id) WHERE unsettled = 1;
CREATE INDEX resource_made ON resource(target) WHERE made = 1;
CREATE INDEX resource_element ON resource(target, item, id, element) WHERE element IS NOT NULL;

CREATE TABLE resource_action(
    nsr TEXT NOT NULL,
    action TEXT NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY(nsr, action, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE resource_use(
    used TEXT NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY(used, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE resource_common(
    target TEXT NOT NULL,
    item TEXT NOT NULL,
    common_id TEXT NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY(target, item, common_id, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal(
    resource INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    committed INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    element TEXT,
    begun_at INTEGER NOT NULL,
    PRIMARY KEY(resource, entry)
) STRICT, WITHOUT ROWID;
";

const VERSION_2: &str = "
CREATE TABLE token(id TEXT PRIMARY KEY, doc TEXT NOT NULL, revoked_at INTEGER) STRICT, WITHOUT ROWID;

CREATE TABLE audit(
    id TEXT PRIMARY KEY,
    who TEXT NOT NULL,
    operation TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_who ON audit(who, id);
CREATE INDEX audit_operation ON audit(operation, id);
CREATE INDEX audit_both ON audit(who, operation, id);
";

const VERSION_3: &str = "
CREATE TABLE takeover(nsr TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// VNF instances and their operations, VNF packages, subscriptions and the outbox.
const VERSION_4: &str = concat!(
    include_str!("schema/vnf_lcm.sql"),
    include_str!("schema/vnf_packages.sql"),
    include_str!("schema/subscriptions.sql"),
);
