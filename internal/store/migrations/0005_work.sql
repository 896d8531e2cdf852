-- What a person or a program asked of one host or of many, and what became of it on each.
CREATE TABLE rollouts (
    id         BIGINT NOT NULL PRIMARY KEY,
    work       TEXT   NOT NULL, -- store.Work
    after      TEXT   NOT NULL, -- fleet.After
    life       BIGINT NOT NULL, -- for how long each step of it is good, in milliseconds
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL
);
CREATE INDEX rollouts_by_time ON rollouts (created_at, id);

CREATE TABLE jobs (
    id           BIGINT NOT NULL PRIMARY KEY,
    rollout_id   BIGINT NOT NULL,
    host_id      BIGINT NOT NULL,
    state        TEXT   NOT NULL, -- store.JobState
    because      TEXT   NOT NULL,
    remedy       TEXT   NOT NULL,
    -- Its orders; 0 for none. Their bodies are in orders, and what the host said of them in answers.
    plan_order   BIGINT NOT NULL,
    work_order   BIGINT NOT NULL,
    cancel_order BIGINT NOT NULL,
    plans        TEXT   NOT NULL, -- the digests of its plans, with a space between two
    changes      BIGINT NOT NULL, -- of all plans
    approval     TEXT   NOT NULL, -- the digest by which it was approved; empty while it was not
    approved_at  BIGINT NOT NULL,
    approved_by  TEXT   NOT NULL,
    cancelled_by TEXT   NOT NULL,
    -- What is said while it is carried out.
    step         TEXT   NOT NULL,
    percent      BIGINT NOT NULL, -- -1 where it is not known
    next_line    BIGINT NOT NULL, -- the number of the line that is waited for
    lines        BIGINT NOT NULL, -- how many are kept
    bytes        BIGINT NOT NULL, -- of those
    heard_at     BIGINT NOT NULL, -- when its host last said something of it
    created_at   BIGINT NOT NULL,
    changed_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX jobs_by_rollout ON jobs (rollout_id, state, id);
CREATE INDEX jobs_by_host ON jobs (host_id, changed_at, id);
CREATE INDEX jobs_by_state ON jobs (state, changed_at, id);
CREATE INDEX jobs_by_change ON jobs (changed_at, id);

-- What the tools said while a job was carried out, as it came.
CREATE TABLE job_lines (
    job_id BIGINT NOT NULL,
    first  BIGINT NOT NULL, -- the number of the first of the lines
    body   TEXT   NOT NULL, -- the lines, with a line feed between two
    PRIMARY KEY (job_id, first)
) /* clustered */;

-- What hosts had to say of orders: plans, and what was installed.
CREATE TABLE answers (
    order_id BIGINT NOT NULL PRIMARY KEY,
    body     TEXT   NOT NULL -- wire.Answer
);

ALTER TABLE orders ADD COLUMN job_id BIGINT NOT NULL DEFAULT 0; -- whose delivery it is; 0 for an order of its own
ALTER TABLE orders ADD COLUMN given_at BIGINT NOT NULL DEFAULT 0; -- when its host was first given it
