//! Every statement the store runs, in one place, so that a test can ask for the plan of each.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = $sql;)+
        /// All of them, with their names.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

statements! {
    // --- transactions ---
    BEGIN = "BEGIN";
    BEGIN_WRITE = "BEGIN IMMEDIATE";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    SAVEPOINT = "SAVEPOINT operation";
    RELEASE = "RELEASE operation";
    ROLLBACK_TO = "ROLLBACK TO operation";
    INSTALLATION = "SELECT letters FROM installation WHERE id = 1";
    PROBE = "UPDATE probe SET count = count + 1 WHERE id = 1";

    // --- accounts ---
    ACCOUNT_GET = "SELECT revision, doc FROM account WHERE target = ?1";
    ACCOUNT_INSERT = "INSERT INTO account(target, revision, doc) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING";
    ACCOUNT_UPDATE = "UPDATE account SET revision = revision + 1, doc = ?2 WHERE target = ?1 AND revision = ?3";
    ACCOUNT_REVISION = "SELECT revision FROM account WHERE target = ?1";
    ACCOUNT_STAYS = "SELECT 1 FROM account WHERE target = ?1 AND json_extract(doc, '$.removing') IS NOT 1";
    ACCOUNT_DELETE = "DELETE FROM account WHERE target = ?1";
    ACCOUNT_PAGE = "SELECT target, revision, doc FROM account WHERE target > ?1 ORDER BY target LIMIT ?2";

    // --- takeovers ---
    TAKEOVER_NOTE = "INSERT INTO takeover(nsr, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    TAKEOVER_GET = "SELECT nsr, at FROM takeover WHERE nsr = ?1";
    TAKEOVER_PAGE = "SELECT nsr, at FROM takeover WHERE nsr > ?1 ORDER BY nsr LIMIT ?2";

    // --- VNF packages ---
    PACKAGE_GET = "SELECT revision, doc FROM vnf_package WHERE id = ?1";
    PACKAGE_OF = "SELECT revision, doc FROM vnf_package WHERE vnfd = ?1";
    PACKAGE_VNFD = "SELECT id FROM vnf_package WHERE vnfd = ?1";
    PACKAGE_PAGE = "SELECT revision, doc FROM vnf_package WHERE id > ?1 ORDER BY id LIMIT ?2";
    PACKAGE_INSERT = "INSERT INTO vnf_package(id, revision, vnfd, doc) VALUES (?1, 1, ?2, ?3) ON CONFLICT(id) DO NOTHING";
    PACKAGE_UPDATE = "UPDATE vnf_package SET revision = revision + 1, vnfd = ?2, doc = ?3 WHERE id = ?1 AND revision = ?4";
    PACKAGE_REVISION = "SELECT revision FROM vnf_package WHERE id = ?1";
    PACKAGE_DELETE = "DELETE FROM vnf_package WHERE id = ?1";
    ARCHIVE_PUT = "INSERT INTO vnf_archive(package, part, content) VALUES (?1, ?2, ?3)
        ON CONFLICT(package, part) DO UPDATE SET content = excluded.content";
    ARCHIVE_GET = "SELECT content FROM vnf_archive WHERE package = ?1 AND part = ?2";
    ARCHIVE_DELETE = "DELETE FROM vnf_archive WHERE package = ?1";

    // --- access ---
    TOKEN_GET = "SELECT doc, revoked_at FROM token WHERE id = ?1";
    TOKEN_INSERT = "INSERT INTO token(id, doc) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    TOKEN_PAGE = "SELECT doc, revoked_at FROM token WHERE id > ?1 ORDER BY id LIMIT ?2";
    TOKEN_REVOKE = "UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    AUDIT_PUT = "INSERT INTO audit(id, who, operation, doc) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT(id) DO UPDATE SET doc = excluded.doc";
    AUDIT_PAGE = "SELECT doc FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
    AUDIT_PAGE_OF_WHO = "SELECT doc FROM audit WHERE who = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2";
    AUDIT_PAGE_OF_OPERATION = "SELECT doc FROM audit WHERE operation = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2";
    AUDIT_PAGE_OF_BOTH = "SELECT doc FROM audit WHERE who = ?3 AND operation = ?4 AND id < ?1 ORDER BY id DESC LIMIT ?2";
    AUDIT_NTH = "SELECT id FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2";
    AUDIT_TRIM = "DELETE FROM audit WHERE id <= ?1";

    // --- VNF instances and their operations ---
    VNF_INSTANCE_GET = "SELECT revision, target, package, operation, head, rest, own FROM vnf_instance WHERE id = ?1";
    VNF_INSTANCE_EXISTS = "SELECT 1 FROM vnf_instance WHERE id = ?1";
    VNF_INSTANCE_INSERT = "INSERT INTO vnf_instance(id, revision, vnfd, state, target, package, operation, head, rest, own)
        VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    VNF_INSTANCE_LOCK = "UPDATE vnf_instance SET revision = revision + 1, operation = ?3
        WHERE id = ?1 AND revision = ?2 AND operation IS NULL";
    VNF_INSTANCE_RELEASE = "UPDATE vnf_instance SET revision = revision + 1, operation = NULL
        WHERE id = ?1 AND operation = ?2";
    VNF_INSTANCE_REPLACE = "UPDATE vnf_instance SET revision = revision + 1, vnfd = ?4, state = ?5, target = ?6, package = ?7,
        operation = ?8, head = ?9, rest = ?10, own = ?11 WHERE id = ?1 AND revision = ?2 AND operation = ?3";
    VNF_INSTANCE_DELETE = "DELETE FROM vnf_instance WHERE id = ?1 AND revision = ?2 AND operation IS NULL";
    VNF_INSTANCE_OF_PACKAGE = "SELECT 1 FROM vnf_instance WHERE package = ?1 LIMIT 1";
    VNF_INSTANCE_ON_TARGET = "SELECT revision, target, package, operation, head, rest, own FROM vnf_instance
        WHERE target = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    VNF_INSTANCE_ONE = "SELECT id, head, iif(?2, rest, ''), vnfd, state FROM vnf_instance WHERE id = ?1";
    VNF_INSTANCE_PAGE = "SELECT id, head, iif(?3, rest, '') FROM vnf_instance WHERE id > ?1 ORDER BY id LIMIT ?2";
    VNF_INSTANCE_PAGE_OF = "SELECT id, head, iif(?3, rest, '') FROM vnf_instance
        WHERE vnfd = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
    VNF_INSTANCE_PAGE_IN = "SELECT id, head, iif(?3, rest, '') FROM vnf_instance
        WHERE state = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
    VNF_INSTANCE_PAGE_OF_IN = "SELECT id, head, iif(?3, rest, '') FROM vnf_instance
        WHERE vnfd = ?5 AND state = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
    OP_OCC_GET = "SELECT revision, target, head, rest, own FROM vnf_op_occ WHERE id = ?1";
    OP_OCC_EXISTS = "SELECT 1 FROM vnf_op_occ WHERE id = ?1";
    OP_OCC_INSERT = "INSERT INTO vnf_op_occ(id, revision, instance, state, target, running, head, rest, own)
        VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    OP_OCC_SAVE = "UPDATE vnf_op_occ SET revision = revision + 1, state = ?3, target = ?4, running = ?5, head = ?6, rest = ?7,
        own = ?8 WHERE id = ?1 AND revision = ?2";
    OP_OCC_RUNNING = "SELECT id FROM vnf_op_occ
        WHERE running = 1 AND target = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    OP_OCC_RUNNING_NOWHERE = "SELECT id FROM vnf_op_occ
        WHERE running = 1 AND target IS NULL AND id > ?1 ORDER BY id LIMIT ?2";
    OP_OCC_NEXT_TARGET = "SELECT target FROM vnf_op_occ WHERE running = 1 AND target > ?1 ORDER BY target LIMIT 1";
    OP_OCC_ONE = "SELECT id, head, iif(?2, rest, ''), instance, state FROM vnf_op_occ WHERE id = ?1";
    OP_OCC_PAGE = "SELECT id, head, iif(?3, rest, '') FROM vnf_op_occ WHERE id > ?1 ORDER BY id LIMIT ?2";
    OP_OCC_PAGE_OF = "SELECT id, head, iif(?3, rest, '') FROM vnf_op_occ
        WHERE instance = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
    OP_OCC_PAGE_IN = "SELECT id, head, iif(?3, rest, '') FROM vnf_op_occ
        WHERE state = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
    OP_OCC_PAGE_OF_IN = "SELECT id, head, iif(?3, rest, '') FROM vnf_op_occ
        WHERE instance = ?5 AND state = ?4 AND id > ?1 ORDER BY id LIMIT ?2";
    LCM_EVENT_INSERT = "INSERT INTO lcm_event(doc) VALUES (?1)";
    // --- subscriptions ---
    SUBSCRIPTION_GET = "SELECT doc FROM subscription WHERE id = ?1";
    SUBSCRIPTION_INSERT = "INSERT INTO subscription(id, doc, held_until) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";
    SUBSCRIPTION_PAGE = "SELECT id, doc FROM subscription WHERE id > ?1 ORDER BY id LIMIT ?2";
    SUBSCRIPTION_AFTER_OTHERS = "SELECT 1 FROM subscription WHERE id > '' ORDER BY id LIMIT 1 OFFSET ?1";
    SUBSCRIPTION_RESEAL = "UPDATE subscription SET doc = ?2 WHERE id = ?1";
    SUBSCRIPTION_DELETE = "DELETE FROM subscription WHERE id = ?1";
    SUBSCRIPTION_HOLD = "UPDATE subscription SET holder = ?2, held_until = ?4
        WHERE id = ?1 AND (holder = ?2 OR held_until <= ?3 OR held_until > ?5)";
    SUBSCRIPTION_VERSION = "SELECT version FROM subscription_version WHERE id = 1";
    SUBSCRIPTION_CHANGED = "UPDATE subscription_version SET version = version + 1 WHERE id = 1";
    LCM_EVENT_PAGE = "SELECT number, doc FROM lcm_event WHERE number > ?1 ORDER BY number LIMIT ?2";
    LCM_EVENT_DELETE = "DELETE FROM lcm_event WHERE number = ?1";
    DELIVERY_BODY_INSERT = "INSERT INTO delivery_body(doc) VALUES (?1) RETURNING key";
    DELIVERY_BODY_DELETE_UNUSED = "DELETE FROM delivery_body WHERE key = ?1
        AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.body = ?1)";
    DELIVERY_INSERT = "INSERT INTO delivery(subscription, number, body, attempt, due_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    DELIVERY_PAGE = "SELECT delivery.number, delivery_body.doc, delivery.attempt, delivery.due_at
        FROM delivery CROSS JOIN delivery_body ON delivery_body.key = delivery.body
        WHERE delivery.subscription = ?1 AND delivery.number > ?2 ORDER BY delivery.number LIMIT ?3";
    DELIVERY_NEXT_SUBSCRIBER = "SELECT subscription FROM delivery WHERE subscription > ?1 ORDER BY subscription LIMIT 1";
    DELIVERY_DELETE = "DELETE FROM delivery WHERE subscription = ?1 AND number = ?2 RETURNING body";
    DELIVERY_DELETE_OF_SUBSCRIBER = "DELETE FROM delivery WHERE subscription = ?1 RETURNING body";
    DELIVERY_DELAY = "UPDATE delivery SET attempt = ?3, due_at = ?4 WHERE subscription = ?1 AND number = ?2";

    // --- leases ---
    LEASE_GET = "SELECT host, fence, expires_at FROM lease WHERE target = ?1";
    LEASE_PUT = "INSERT INTO lease(target, host, fence, expires_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT(target) DO UPDATE SET host = excluded.host, fence = excluded.fence, expires_at = excluded.expires_at";
    LEASE_RENEW = "UPDATE lease SET expires_at = ?2 WHERE host = ?1";
    LEASE_RELEASE = "UPDATE lease SET host = NULL WHERE target = ?1 AND fence = ?2";
    LEASE_HELD = "SELECT 1 FROM lease WHERE target = ?1 AND fence = ?2 AND host IS NOT NULL";
    LEASE_ALL = "SELECT target, host, fence, expires_at FROM lease WHERE host IS NOT NULL ORDER BY target";

    // --- records ---
    RECORD_HEAD = "SELECT key, revision FROM record WHERE collection = ?1 AND id = ?2";
    RECORD_INSERT = "INSERT INTO record(collection, id, revision, name, service) VALUES (?1, ?2, 1, ?3, ?4)";
    RECORD_REPLACE = "UPDATE record SET revision = revision + 1, name = ?2, service = ?3 WHERE key = ?1";
    RECORD_TOUCH = "UPDATE record SET revision = revision + 1 WHERE key = ?1";
    RECORD_DELETE = "DELETE FROM record WHERE key = ?1";
    RECORD_DOCUMENT = "SELECT doc FROM record_document WHERE record = ?1";
    RECORD_DOCUMENT_PUT = "INSERT INTO record_document(record, doc) VALUES (?1, ?2)
        ON CONFLICT(record) DO UPDATE SET doc = excluded.doc";
    RECORD_DOCUMENT_DELETE = "DELETE FROM record_document WHERE record = ?1";
    RECORD_ITEMS = "SELECT list, doc FROM record_item WHERE record = ?1 ORDER BY list, position";
    RECORD_ITEMS_DELETE = "DELETE FROM record_item WHERE record = ?1";
    RECORD_ITEM_INSERT = "INSERT INTO record_item(record, list, position, item, doc) VALUES (?1, ?2, ?3, ?4, ?5)";
    RECORD_ITEM_BY_ID = "SELECT key, position, doc FROM record_item WHERE record = ?1 AND list = ?2 AND item = ?3";
    RECORD_ITEM_BY_POSITION = "SELECT key, position, doc FROM record_item
        WHERE record = ?1 AND list = ?2 AND position = ?3 AND item IS NULL";
    RECORD_ITEM_UPDATE = "UPDATE record_item SET doc = ?2 WHERE key = ?1";
    RECORD_ITEM_RENAME = "UPDATE record_item SET item = ?2 WHERE key = ?1";
    RECORD_ITEM_LAST = "SELECT position FROM record_item WHERE record = ?1 AND list = ?2 ORDER BY position DESC LIMIT 1";
    RECORD_OF_SERVICE = "SELECT key, id, revision FROM record WHERE service = ?1 ORDER BY key";
    SERVICE_PAGE = "SELECT id, name FROM record WHERE collection = 'nsrs' AND id > ?1 ORDER BY id LIMIT ?2";

    // --- planning ---
    SERVICE_REVISION = "SELECT revision FROM service WHERE nsr = ?1";
    SERVICE_TOUCH = "INSERT INTO service(nsr, revision) VALUES (?1, 1)
        ON CONFLICT(nsr) DO UPDATE SET revision = revision + 1";
    SERVICE_DELETE = "DELETE FROM service WHERE nsr = ?1";
    KEY_PAIR_GET = "SELECT public_key, private_key FROM key_pair WHERE nsr = ?1";
    KEY_PAIR_KEEP = "INSERT INTO key_pair(nsr, public_key, private_key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    KEY_PAIR_PAGE = "SELECT nsr, public_key, private_key FROM key_pair WHERE nsr > ?1 ORDER BY nsr LIMIT ?2";
    KEY_PAIR_RESEAL = "UPDATE key_pair SET private_key = ?3 WHERE nsr = ?1 AND private_key = ?2";
    KEY_PAIR_DELETE = "DELETE FROM key_pair WHERE nsr = ?1";
    ACTION_GET = "SELECT doc FROM action WHERE nsr = ?1 AND action = ?2";
    ACTION_INSERT = "INSERT INTO action(nsr, action, doc) VALUES (?1, ?2, ?3)";
    ACTION_PAGE = "SELECT key, doc FROM action WHERE key < ?1 ORDER BY key DESC LIMIT ?2";
    ACTION_PAGE_OF_SERVICE = "SELECT key, doc FROM action WHERE nsr = ?3 AND key < ?1 ORDER BY key DESC LIMIT ?2";
    ACTION_DELETE_OF_SERVICE = "DELETE FROM action WHERE nsr = ?1";
    TEXT_GET = "SELECT content FROM text WHERE digest = ?1";
    TEXT_PUT = "INSERT INTO text(digest, content) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    TEXT_SERVICE_PUT = "INSERT INTO text_service(nsr, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    TEXT_SERVICE_LIST = "SELECT digest FROM text_service WHERE nsr = ?1";
    TEXT_SERVICE_DELETE = "DELETE FROM text_service WHERE nsr = ?1";
    TEXT_DELETE_UNUSED = "DELETE FROM text WHERE digest = ?1
        AND NOT EXISTS (SELECT 1 FROM text_service WHERE text_service.digest = ?1)";

    // --- resources ---
    RESOURCE_GET = "SELECT key, revision, doc FROM resource WHERE id = ?1";
    RESOURCE_GET_BY_KEY = "SELECT key, revision, doc FROM resource WHERE key = ?1";
    RESOURCE_HEAD = "SELECT key, target, revision, sides FROM resource WHERE id = ?1";
    RESOURCE_KEY = "SELECT key, target FROM resource WHERE id = ?1";
    RESOURCE_INSERT = "INSERT INTO resource(id, target, item, revision, unsettled, made, element, sides, doc)
        VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8)";
    /// Leaves every index alone.
    RESOURCE_SAVE_SAME = "UPDATE resource SET revision = revision + 1, doc = ?1
        WHERE id = ?2 AND target = ?3 AND revision = ?4 AND unsettled = ?5 AND made = ?6 AND element IS ?7 AND sides = ?8";
    RESOURCE_SAVE = "UPDATE resource SET revision = revision + 1, unsettled = ?2, made = ?3, element = ?4, sides = ?5, doc = ?6
        WHERE key = ?1";
    RESOURCE_DELETE = "DELETE FROM resource WHERE key = ?1";
    RESOURCE_ACTION_INSERT = "INSERT INTO resource_action(nsr, action, resource) VALUES (?1, ?2, ?3)";
    RESOURCE_ACTION_DELETE = "DELETE FROM resource_action WHERE nsr = ?1 AND action = ?2 AND resource = ?3";
    RESOURCE_USE_INSERT = "INSERT INTO resource_use(used, resource) VALUES (?1, ?2)";
    RESOURCE_USE_DELETE = "DELETE FROM resource_use WHERE used = ?1 AND resource = ?2";
    RESOURCE_COMMON_INSERT = "INSERT INTO resource_common(target, item, common_id, resource) VALUES (?1, ?2, ?3, ?4)";
    RESOURCE_COMMON_DELETE = "DELETE FROM resource_common
        WHERE target = ?1 AND item = ?2 AND common_id = ?3 AND resource = ?4";
    RESOURCES_OF_SERVICE = "SELECT DISTINCT resource FROM resource_action WHERE nsr = ?1 ORDER BY resource";
    RESOURCES_OF_ACTION = "SELECT resource FROM resource_action WHERE nsr = ?1 AND action = ?2 ORDER BY resource";
    RESOURCE_SHARED = "SELECT resource FROM resource_common WHERE target = ?1 AND item = ?2 AND common_id = ?3
        ORDER BY resource";
    RESOURCE_UNSETTLED = "SELECT key, revision, doc FROM resource WHERE unsettled = 1 AND target = ?1 AND id > ?2
        ORDER BY id LIMIT ?3";
    RESOURCE_NEXT_TARGET = "SELECT target FROM resource WHERE unsettled = 1 AND target > ?1 ORDER BY target LIMIT 1";
    RESOURCE_ELEMENTS = "SELECT id, element FROM resource
        WHERE target = ?1 AND item = ?2 AND element IS NOT NULL AND id > ?3 ORDER BY id LIMIT ?4";
    RESOURCE_MADE = "SELECT 1 FROM resource WHERE target = ?1 AND made = 1 LIMIT 1";
    RESOURCE_USERS = "SELECT resource.id FROM resource_use CROSS JOIN resource ON resource.key = resource_use.resource
        WHERE resource_use.used = ?1 AND (resource.made = 1 OR EXISTS (
            SELECT 1 FROM journal WHERE journal.resource = resource.key AND journal.forgotten = 0))
        ORDER BY resource.id";

    // --- journals ---
    JOURNAL_LIST = "SELECT entry, kind, token, committed, element, begun_at FROM journal
        WHERE resource = ?1 AND forgotten = 0 ORDER BY entry";
    JOURNAL_ALL = "SELECT entry, kind, token, committed, element, begun_at, forgotten FROM journal
        WHERE resource = ?1 ORDER BY entry";
    JOURNAL_BY_ENTRY = "SELECT entry, kind, token, committed, element, begun_at, forgotten FROM journal
        WHERE resource = ?1 AND entry = ?2";
    JOURNAL_INSERT = "INSERT INTO journal(resource, entry, kind, token, committed, forgotten, element, begun_at)
        VALUES (?1, ?2, ?3, ?4, 0, 0, NULL, ?5)";
    JOURNAL_BEGIN_ANEW = "UPDATE journal SET committed = 0, forgotten = 0, element = NULL, begun_at = ?3
        WHERE resource = ?1 AND entry = ?2";
    JOURNAL_COMMIT = "UPDATE journal SET committed = 1, element = ?3
        WHERE resource = ?1 AND entry = ?2 AND forgotten = 0";
    JOURNAL_FORGET = "UPDATE journal SET forgotten = 1 WHERE resource = ?1 AND entry = ?2";
    JOURNAL_PURGE = "DELETE FROM journal WHERE resource = ?1 AND forgotten = 1
        AND entry < (SELECT max(entry) FROM journal WHERE resource = ?1)";
    JOURNAL_DELETE = "DELETE FROM journal WHERE resource = ?1";
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::schema::MIGRATIONS;

    /// Tables that are read whole, because they are small whatever others store.
    const SMALL_TABLES: &[(&str, &str)] = &[
        // A row per account.
        ("LEASE_ALL", "SCAN lease"),
        ("LEASE_RENEW", "SCAN lease"),
    ];

    /// The steps of each statement's plan.
    fn plans() -> Vec<(&'static str, Vec<String>)> {
        let connection = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        let plan = |sql: &str| {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let parameters = vec![1; explain.parameter_count()];
            let steps = explain.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))?;
            steps.collect::<rusqlite::Result<Vec<String>>>()
        };
        let all = ALL.iter().map(|(name, sql)| (*name, plan(sql).unwrap()));
        all.collect()
    }

    #[test]
    fn every_statement_is_served_by_an_index() {
        let mut planned = 0;
        for (name, steps) in plans() {
            for step in steps {
                planned += 1;
                let small = SMALL_TABLES.contains(&(name, step.as_str()));
                assert!(small || !step.starts_with("SCAN"), "{name}: {step}");
            }
        }
        assert!(planned > 40, "only {planned} steps: are statements missing?");
    }

    #[test]
    fn pages_come_in_order_from_the_index() {
        for (name, steps) in plans() {
            // Sorting would read all rows for each page. These two want all their rows at once.
            let whole = ["RESOURCE_USERS", "RESOURCES_OF_SERVICE"].contains(&name);
            let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(whole || !sorts, "{name}: {steps:?}");
        }
    }
}
