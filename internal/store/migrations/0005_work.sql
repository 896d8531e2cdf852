-- What hosts had to say of orders: plans, and what was installed.
CREATE TABLE answers (
    order_id BIGINT NOT NULL PRIMARY KEY,
    body     TEXT   NOT NULL, -- wire.Answer
    approved BIGINT NOT NULL  -- the order that has these plans carried out; 0 while nobody has approved them
);
