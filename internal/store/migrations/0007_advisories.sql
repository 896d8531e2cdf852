-- The distribution's release whose advisories speak of a package (Debian:12); empty where that is not known.
ALTER TABLE packages ADD COLUMN ecosystem TEXT NOT NULL DEFAULT '';
ALTER TABLE packages ADD COLUMN module TEXT NOT NULL DEFAULT ''; -- of a modular RPM: name:stream
DROP INDEX packages_by_name;
CREATE UNIQUE INDEX packages_by_name ON packages (name, source, arch, version, source_package, source_version, ecosystem, module);

-- Whose reports are new is asked often.
CREATE INDEX hosts_by_report ON hosts (reported_at, id, session, sequence);

-- Feeds of advisories, each as a file that every process on this database has a copy of. Its bytes are in feed_parts.
CREATE TABLE feeds (
    name       TEXT   NOT NULL PRIMARY KEY,
    about      TEXT   NOT NULL, -- advisory.Feed
    digest     TEXT   NOT NULL, -- SHA-256 of the file, hex
    size       BIGINT NOT NULL, -- of the file
    body       BIGINT NOT NULL, -- in feed_parts
    checked_at BIGINT NOT NULL  -- when it was last found to be all that there is
) /* clustered */;

CREATE TABLE feed_parts (
    body       BIGINT NOT NULL, -- of which feed, or of one that is being written
    part       BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    data       TEXT   NOT NULL, -- base64
    PRIMARY KEY (body, part)
);

-- Why an address had no feed for us, the last time.
CREATE TABLE feed_errors (
    address TEXT   NOT NULL PRIMARY KEY,
    error   TEXT   NOT NULL,
    at      BIGINT NOT NULL
) /* clustered */;

-- Somebody's decision that a vulnerability does not count.
CREATE TABLE suppressions (
    id         BIGINT NOT NULL PRIMARY KEY,
    flaw       TEXT   NOT NULL, -- the CVE, or an advisory's name
    package    TEXT   NOT NULL, -- that it is limited to; empty for all
    group_id   BIGINT NOT NULL, -- the group whose hosts it is limited to; 0 for all
    status     TEXT   NOT NULL, -- not_affected or accepted
    owner      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    until      BIGINT NOT NULL, -- the last day
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);

-- Since when a vulnerability is known of some host.
CREATE TABLE flaws (
    id         TEXT   NOT NULL PRIMARY KEY,
    first_seen BIGINT NOT NULL
) /* clustered */;
