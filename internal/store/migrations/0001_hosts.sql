-- Times are unix milliseconds in UTC; 0 means never. Every table that ends in /* clustered */ is kept in the order of its key.

CREATE TABLE hosts (
    id          BIGINT NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    machine     TEXT   NOT NULL, -- a hash of the machine's own ID; empty where it has none
    public_key  TEXT   NOT NULL, -- Ed25519, base64
    agent       TEXT   NOT NULL, -- the program's version
    address     TEXT   NOT NULL, -- where it last reported from
    facts       TEXT   NOT NULL, -- fleet.Host
    digests     TEXT   NOT NULL, -- wire.Digests: what of it is known here
    -- One run of the agent is a session: see Store.Session.
    session     TEXT   NOT NULL,
    began_at    BIGINT NOT NULL, -- when it began, by the host's clock
    sessions    TEXT   NOT NULL, -- JSON array: those before it, newest first
    sequence    BIGINT NOT NULL, -- of the session's newest report that was saved
    clone       TEXT   NOT NULL, -- why two machines seem to use this identity; empty when they do not
    enrolled_at BIGINT NOT NULL,
    reported_at BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    -- Counters, kept in the transaction that changes what they count.
    updates     BIGINT NOT NULL,
    security    BIGINT NOT NULL,
    blocked     BIGINT NOT NULL,
    unconfirmed BIGINT NOT NULL,
    unknown     BIGINT NOT NULL, -- sources whose finding is unknown
    packages    BIGINT NOT NULL,
    containers  BIGINT NOT NULL,
    reboot      TEXT   NOT NULL, -- fleet.Need
    restart     TEXT   NOT NULL  -- fleet.Need
);
CREATE INDEX hosts_by_name ON hosts (name, id);
CREATE INDEX hosts_by_machine ON hosts (machine);
CREATE INDEX hosts_by_seen ON hosts (seen_at, id);
CREATE INDEX hosts_by_security ON hosts (security, id);
CREATE INDEX hosts_by_updates ON hosts (updates, id);
CREATE INDEX hosts_by_totals ON hosts (reported_at, unknown, updates, security, blocked, unconfirmed, packages, containers, reboot, restart, clone);

CREATE TABLE findings (
    host_id     BIGINT NOT NULL,
    source      TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    because     TEXT   NOT NULL,
    remedy      TEXT   NOT NULL,
    scanned_at  BIGINT NOT NULL,
    as_of       BIGINT NOT NULL,
    updates     BIGINT NOT NULL,
    security    BIGINT NOT NULL,
    blocked     BIGINT NOT NULL,
    unconfirmed BIGINT NOT NULL,
    PRIMARY KEY (host_id, source)
) /* clustered */;

CREATE TABLE updates (
    host_id    BIGINT NOT NULL,
    source     TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    arch       TEXT   NOT NULL,
    kind       TEXT   NOT NULL, -- fleet.Kind; empty for packages
    level      TEXT   NOT NULL, -- fleet.Level; empty for all but versions
    platform   TEXT   NOT NULL, -- of an image
    security   BIGINT NOT NULL, -- 1 or 0
    blocked    TEXT   NOT NULL,
    body       TEXT   NOT NULL, -- fleet.Update
    offer_id   BIGINT NOT NULL, -- in offers
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (host_id, source, name, arch, kind, level, platform)
) /* clustered */;
CREATE INDEX updates_by_offer ON updates (offer_id, host_id);
CREATE INDEX updates_by_time ON updates (first_seen, host_id);

-- Each update once for the whole fleet, with the number of hosts that have it.
CREATE TABLE offers (
    id         BIGINT NOT NULL PRIMARY KEY, -- a hash of what makes it the same one
    source     TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    security   BIGINT NOT NULL, -- 1 or 0
    body       TEXT   NOT NULL, -- fleet.Update, without what is a single host's own
    hosts      BIGINT NOT NULL,
    blocked    BIGINT NOT NULL, -- hosts on which it is
    first_seen BIGINT NOT NULL
);
CREATE INDEX offers_by_name ON offers (name, id);
CREATE INDEX offers_by_hosts ON offers (hosts, id);
CREATE INDEX offers_by_time ON offers (first_seen, id);

CREATE TABLE checks (
    host_id  BIGINT NOT NULL,
    source   TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    platform TEXT   NOT NULL,
    answer   TEXT   NOT NULL,
    body     TEXT   NOT NULL, -- fleet.Check
    PRIMARY KEY (host_id, source, name, platform)
) /* clustered */;
CREATE INDEX checks_by_name ON checks (name, host_id);

-- Each image once for the whole fleet and each answer, with the number of hosts that have it.
CREATE TABLE images (
    name     TEXT   NOT NULL,
    platform TEXT   NOT NULL,
    answer   TEXT   NOT NULL,
    hosts    BIGINT NOT NULL,
    PRIMARY KEY (name, platform, answer)
) /* clustered */;

-- Each package once for the whole fleet.
CREATE TABLE packages (
    id             BIGINT NOT NULL PRIMARY KEY,
    source         TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    arch           TEXT   NOT NULL,
    version        TEXT   NOT NULL,
    source_package TEXT   NOT NULL,
    source_version TEXT   NOT NULL
);
CREATE INDEX packages_by_source_package ON packages (source_package, name);
CREATE UNIQUE INDEX packages_by_name ON packages (name, source, arch, version, source_package, source_version);

-- What a host has: see shelves.go.
CREATE TABLE host_packages (
    shelf    BIGINT NOT NULL,
    host_id  BIGINT NOT NULL,
    packages TEXT   NOT NULL, -- their IDs, sorted, base 36
    PRIMARY KEY (shelf, host_id)
) /* clustered */;

CREATE TABLE containers (
    host_id BIGINT NOT NULL,
    source  TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    image   TEXT   NOT NULL,
    body    TEXT   NOT NULL, -- fleet.Container
    PRIMARY KEY (host_id, source, name)
) /* clustered */;
CREATE INDEX containers_by_image ON containers (image, host_id);

-- What left: an update that was on offer and is not any more.
CREATE TABLE history (
    id         BIGINT NOT NULL PRIMARY KEY,
    host_id    BIGINT NOT NULL,
    source     TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    body       TEXT   NOT NULL, -- fleet.Update
    first_seen BIGINT NOT NULL,
    gone_at    BIGINT NOT NULL,
    how        TEXT   NOT NULL  -- store.How
);
CREATE INDEX history_by_host ON history (host_id, gone_at, id);
CREATE INDEX history_by_time ON history (gone_at, id);

CREATE TABLE tokens (
    id         BIGINT NOT NULL PRIMARY KEY,
    hash       TEXT   NOT NULL, -- SHA-256 of the secret, hex
    seats      BIGINT NOT NULL, -- left; -1 for any number
    labels     TEXT   NOT NULL, -- JSON object
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX tokens_by_hash ON tokens (hash);

CREATE TABLE labels (
    host_id BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    PRIMARY KEY (host_id, name)
) /* clustered */;
CREATE INDEX labels_by_name ON labels (name, value, host_id);
