-- What was asked of a host.
CREATE TABLE orders (
    id         BIGINT NOT NULL PRIMARY KEY,
    host_id    BIGINT NOT NULL,
    state      TEXT   NOT NULL, -- wire.State
    body       TEXT   NOT NULL, -- wire.SignedOrder
    because    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX orders_by_host ON orders (host_id, created_at, id);
CREATE INDEX orders_by_state ON orders (state, host_id);
CREATE INDEX orders_by_change ON orders (changed_at, id);
