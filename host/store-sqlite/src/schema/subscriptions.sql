
-- Who is to be told. `holder` is the host that delivers to it, until `held_until`.
CREATE TABLE subscription(
    id TEXT PRIMARY KEY,
    doc TEXT NOT NULL,
    holder TEXT,
    held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription_version(id INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT;
INSERT INTO subscription_version(id, version) VALUES (1, 0);

-- What is to be sent. Subscribers to one event share a body, which goes with the last of its deliveries.
CREATE TABLE delivery_body(key INTEGER PRIMARY KEY, doc TEXT NOT NULL) STRICT;
CREATE TABLE delivery(
    subscription TEXT NOT NULL,
    number INTEGER NOT NULL,
    body INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY(subscription, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_of_body ON delivery(body);
