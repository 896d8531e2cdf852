CREATE TABLE users (
    id         BIGINT NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    password   TEXT   NOT NULL, -- a hash; empty for one who has none yet
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_by_name ON users (name);

-- Who is signed in. A link that signs in once is a login that has not begun.
CREATE TABLE logins (
    id         BIGINT NOT NULL PRIMARY KEY,
    hash       TEXT   NOT NULL, -- SHA-256 of the secret, hex
    user_id    BIGINT NOT NULL,
    agent      TEXT   NOT NULL, -- the browser, as it calls itself
    address    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    once       BIGINT NOT NULL  -- 1 for a link
);
CREATE UNIQUE INDEX logins_by_hash ON logins (hash);
CREATE INDEX logins_by_user ON logins (user_id, id);
CREATE INDEX logins_by_expiry ON logins (expires_at);

CREATE TABLE api_keys (
    id         BIGINT NOT NULL PRIMARY KEY,
    hash       TEXT   NOT NULL, -- SHA-256 of the secret, hex
    name       TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    used_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (hash);

-- Saved label queries.
CREATE TABLE groups (
    id         BIGINT NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    query      TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX groups_by_name ON groups (name);

-- What all processes on one database share: the keys that the server signs and is known by.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) /* clustered */;

-- Work that one process does at a time.
CREATE TABLE leases (
    name  TEXT   NOT NULL PRIMARY KEY,
    holder TEXT  NOT NULL,
    until BIGINT NOT NULL
) /* clustered */;
