-- The second factor of a person.
CREATE TABLE totp (
    user_id BIGINT NOT NULL PRIMARY KEY,
    secret  TEXT   NOT NULL, -- base32
    step    BIGINT NOT NULL  -- the newest that was used: a code is good once; -1 while the person has not shown a code of it
);

CREATE TABLE passkeys (
    id         TEXT   NOT NULL PRIMARY KEY, -- the authenticator's, base64url
    user_id    BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    credential TEXT   NOT NULL, -- webauthn.Credential
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, created_at, id);

-- A challenge that an authenticator is to answer, once.
CREATE TABLE challenges (
    hash       TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of the name that its answer comes with, hex
    body       TEXT   NOT NULL, -- webauthn.SessionData
    expires_at BIGINT NOT NULL
);

-- Who did what.
CREATE TABLE deeds (
    id      BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT   NOT NULL,
    address TEXT   NOT NULL, -- where the request came from
    what    TEXT   NOT NULL,
    about   TEXT   NOT NULL
);
CREATE INDEX deeds_by_time ON deeds (at, id);

-- How the fleet was.
CREATE TABLE trend (
    at             BIGINT NOT NULL PRIMARY KEY,
    hosts          BIGINT NOT NULL,
    hosts_unknown  BIGINT NOT NULL,
    hosts_security BIGINT NOT NULL,
    updates        BIGINT NOT NULL,
    security       BIGINT NOT NULL,
    images         BIGINT NOT NULL, -- image updates
    installed      BIGINT NOT NULL  -- since the first row
);

-- What is pending by label is counted from this alone.
CREATE INDEX hosts_by_pending ON hosts (id, updates, security, blocked);
